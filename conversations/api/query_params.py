"""What a list can be asked for: one serializer a list, each field an argument of the manager's method, by its name.

A wrong value, a name that is not known, and a name given twice are each an error of that parameter: a misspelt filter
that is ignored would answer with rows that were not asked for.
"""

import datetime as dt
from typing import Any, ClassVar

from django.db.models import TextChoices
from django.http import QueryDict
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from cachelayer.orm.managers import MAX_ID
from conversations.models import Conversation, Message
from conversations.models.base import PAGE_SIZE

LONGEST_PAGE = 200  # rows
LONGEST_SEARCH = 255  # characters, as the longest name


@extend_schema_field({"type": "string", "enum": ["true", "false", "any"]})
class FlagField(serializers.Field[bool | None, str, bool | None, Any]):
    """`true`, `false`, or `any` for both."""

    meanings: ClassVar[dict[str, bool | None]] = {"true": True, "false": False, "any": None}
    default_error_messages = {"invalid": "Must be true, false or any."}

    def to_internal_value(self, data: str) -> bool | None:
        """Return what the word says, in whatever case."""
        word = data.lower()
        if word not in self.meanings:
            self.fail("invalid")
        return self.meanings[word]

    def to_representation(self, value: bool | None) -> Any:  # noqa: FBT001 - DRF's signature
        """Return the word for it."""
        return next(word for word, meaning in self.meanings.items() if meaning is value)


class PageParameters(serializers.Serializer[Any]):
    """Which page of a list."""

    cursor = serializers.CharField(
        default="", allow_blank=True, help_text="From `next` or `previous` of another page; empty for the first."
    )
    limit = serializers.IntegerField(default=PAGE_SIZE, min_value=1, max_value=LONGEST_PAGE, help_text="Rows a page.")

    @classmethod
    def read(cls, query: QueryDict) -> dict[str, Any]:
        """Return the manager's arguments, with a default for each that is not given.

        Raises:
            ValidationError: by the name of each parameter that is wrong, what is wrong with it.
        """
        given = cls(data=query.dict())
        errors = {name: ["Unknown parameter."] for name in query if name not in given.fields}
        errors |= {name: ["Given more than once."] for name, values in query.lists() if len(values) > 1}
        if not given.is_valid() or errors:
            raise serializers.ValidationError({**given.errors, **errors})
        return dict(given.validated_data)


class InstanceFilter(serializers.Serializer[Any]):
    """Whose rows."""

    instance = serializers.IntegerField(
        default=None, min_value=1, max_value=MAX_ID, help_text="Only this instance's rows, by its id."
    )


def _search(help_text: str) -> serializers.CharField:
    return serializers.CharField(default="", allow_blank=True, max_length=LONGEST_SEARCH, help_text=help_text)


def _kind(kinds: type[TextChoices], help_text: str) -> serializers.ChoiceField:
    return serializers.ChoiceField(kinds.choices, default="", allow_blank=True, help_text=help_text)


class ContactParameters(PageParameters, InstanceFilter):
    """Which contacts."""

    search = _search("Part of a name, a phone number or a LID.")


class ConversationParameters(PageParameters, InstanceFilter):
    """Which conversations."""

    archived = FlagField(default=None, help_text="Whether it is archived.")
    pinned = FlagField(default=None, help_text="Whether it is pinned.")
    unread = FlagField(default=None, help_text="Whether it has unread messages.")
    deleted = FlagField(
        default=False, help_text="Whether it was deleted on the phone; those are left out unless asked for."
    )
    kind = _kind(Conversation.Kind, "What is at the other end.")
    search = _search("Part of a name or of an address.")
    updated_after = serializers.DateTimeField(
        default=None,
        default_timezone=dt.UTC,
        help_text="Only rows changed after this moment, oldest change first: to follow an inbox, ask again with the "
        "last row's `updated_at`.",
    )


class MessageParameters(PageParameters, InstanceFilter):
    """Which messages of all conversations."""

    kind = _kind(Message.Kind, "What is in the bubble.")
    from_me = FlagField(default=None, help_text="Whether the instance sent it.")
