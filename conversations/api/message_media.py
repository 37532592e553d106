"""The member `media` of a message: what is known of its file, and the paths under which file and thumbnail are sent.

Both paths follow from the message's row alone; no file and no other row is looked at.
"""

from typing import Any

from django.urls import reverse
from rest_framework import serializers

from conversations.evolution.media_names import REFERENCE
from conversations.evolution.thumbnails import THUMBNAIL
from conversations.models import Message
from conversations.models.stored_media import has_thumbnail, stored_name


class MediaSerializer(serializers.Serializer[Any]):
    """The properties of a message's file, mostly as the sender has stated them. Unknown ones are left out."""

    file_url = serializers.CharField(
        allow_null=True, help_text="Path of the file on this site; null if it is not stored."
    )
    thumbnail_url = serializers.CharField(
        allow_null=True, help_text="Path of a small picture on this site; null if there is none."
    )
    is_removed = serializers.BooleanField(required=False, help_text="The file was deleted, because it was old.")
    mimetype = serializers.CharField(required=False)
    size = serializers.IntegerField(required=False, help_text="Bytes.")
    file_name = serializers.CharField(required=False)
    title = serializers.CharField(required=False)
    seconds = serializers.IntegerField(required=False)
    width = serializers.IntegerField(required=False, help_text="Pixels.")
    height = serializers.IntegerField(required=False, help_text="Pixels.")
    pages = serializers.IntegerField(required=False)
    is_voice = serializers.BooleanField(required=False)
    is_gif = serializers.BooleanField(required=False)
    is_animated = serializers.BooleanField(required=False)
    is_view_once = serializers.BooleanField(required=False)
    id = serializers.CharField(required=False, help_text="Id of the file in the Cloud API.")
    url = serializers.CharField(required=False, help_text="URL of the file on another server.")
    transcript = serializers.CharField(required=False, help_text="What is said in a voice message.")


def shown_media(row: Message) -> dict[str, Any] | None:
    """Return the member `media` of a message's JSON; None if the message has neither file nor thumbnail."""
    if not row.media:
        return None
    known = {name: value for name, value in row.media.items() if name not in (REFERENCE, THUMBNAIL)}
    return {
        **known,
        "file_url": _path("message-media", row) if stored_name(row, REFERENCE) else None,
        "thumbnail_url": _path("message-thumbnail", row) if has_thumbnail(row) else None,
    }


def _path(route: str, row: Message) -> str:
    return f"{reverse(route, args=[row.pk])}/"  # Django leaves the optional slash out
