"""The filters of each list endpoint. Each field has the name of a field of the list's filters."""

import datetime as dt
from collections.abc import Mapping
from typing import Any, ClassVar

from django.db.models import TextChoices
from rest_framework import serializers

from conversations.api.query_params import FlagField, IdsField, PageParameters, instance_field
from conversations.api.serializers.message import STATUSES
from conversations.models import Conversation, Message

MAX_TEXT = 255  # maximum characters of a text parameter, as long as the longest name and the longest key id
STATUS_VALUES = {name: value for value, name in STATUSES.items()}


def ids_field(help_text: str) -> IdsField:
    """Return a parameter that selects rows by ids."""
    return IdsField(default=None, help_text=f"{help_text} Several ids are separated by commas.")


def _text(help_text: str) -> serializers.CharField:
    return serializers.CharField(default="", allow_blank=True, max_length=MAX_TEXT, help_text=help_text)


def _flag(condition: str, default: bool | None = None) -> FlagField:  # noqa: FBT001 - the default of a flag is a flag
    return FlagField(default=default, help_text=f"Only rows that are {condition} (true) or not (false).")


def _time(help_text: str) -> serializers.DateTimeField:
    return serializers.DateTimeField(default=None, default_timezone=dt.UTC, help_text=help_text)


def _kind(kinds: type[TextChoices], help_text: str) -> serializers.ChoiceField:
    return serializers.ChoiceField(kinds.choices, default="", allow_blank=True, help_text=help_text)


class StatusField(serializers.ChoiceField):
    """A query parameter that contains the name of a delivery status."""

    def to_internal_value(self, data: Any) -> Any:
        """Convert the name to the value of `Message.Status`; no name is None."""
        return STATUS_VALUES.get(super().to_internal_value(data))


class ScopedParameters(PageParameters):
    """The parameters of all lists of rows that belong to instances."""

    instance = instance_field()
    ids = ids_field("Only rows with these ids.")


class ContactParameters(ScopedParameters):
    """Query parameters of the list of contacts."""

    moved: ClassVar[Mapping[str, str]] = {"search": "search/contacts/?q=…"}


class ConversationParameters(ScopedParameters):
    """Query parameters of the list of conversations."""

    contact = ids_field("Only direct conversations with the contacts that have these ids.")
    label = _text(  # type: ignore[assignment]  # DRF removes fields from the class
        "Only conversations with the label that has this id."
    )
    archived = _flag("archived")
    pinned = _flag("pinned")
    unread = FlagField(default=None, help_text="Only conversations with (true) or without (false) unread messages.")
    muted = _flag("muted now")
    deleted = _flag("deleted on the phone; by default, such rows are left out", default=False)
    kind = _kind(Conversation.Kind, "Only conversations of this kind.")
    active_after = _time("Only conversations whose last message is from this time on.")
    active_before = _time("Only conversations whose last message is from before this time.")

    moved: ClassVar[Mapping[str, str]] = {"search": "search/conversations/?q=…", "updated_after": "changes/?after=…"}


class MessageParameters(ScopedParameters):
    """Query parameters of the list of messages of all conversations."""

    conversation = ids_field("Only messages of the conversations with these ids.")
    sender = ids_field("Only messages of the contacts with these ids.")
    key_id = _text("Only messages with this WhatsApp id.")
    kind = _kind(Message.Kind, "Only messages of this kind.")
    status = StatusField(list(STATUS_VALUES), default=None, help_text="Only messages with this delivery status.")
    from_me = FlagField(default=None, help_text="Only messages that the instance sent (true) or received (false).")
    after = _time("Only messages from this time on.")
    before = _time("Only messages from before this time.")
