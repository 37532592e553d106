"""Query parameters of the list endpoints: one serializer validates the parameters of one list.

Each serializer field has the name of an argument of the manager's list method. Wrong values, unknown parameters and
repeated parameters are errors, because without a misspelt filter a list would contain rows that the client did not ask
for.
"""

import datetime as dt
from typing import Any, ClassVar

from django.db.models import TextChoices
from django.http import QueryDict
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail

from cachelayer.orm.managers import MAX_ID
from conversations.models import Conversation, Message
from conversations.models.base import PAGE_SIZE

UNKNOWN, REPEATED = ErrorDetail("Unknown parameter.", "unknown"), ErrorDetail("Given more than once.", "repeated")
MAX_PAGE_ROWS = 200
MAX_SEARCH_LENGTH = 255  # maximum characters of a search text, as long as the longest name


@extend_schema_field({"type": "string", "enum": ["true", "false", "any"]})
class FlagField(serializers.Field[bool | None, str, bool | None, Any]):
    """A query parameter that filters by a boolean column: `true`, `false`, or `any` for no filter."""

    words: ClassVar[dict[str, bool | None]] = {"true": True, "false": False, "any": None}
    default_error_messages = {"invalid": "Must be true, false or any."}

    def to_internal_value(self, data: str) -> bool | None:
        """Convert `true`, `false` or `any`, in upper or lower case, to True, False or None."""
        word = data.lower()
        if word not in self.words:
            self.fail("invalid")
        return self.words[word]

    def to_representation(self, value: bool | None) -> Any:  # noqa: FBT001 - DRF defines the signature
        """Convert True, False or None to `true`, `false` or `any`."""
        return next(word for word, meaning in self.words.items() if meaning is value)


class Parameters(serializers.Serializer[Any]):
    """The base class of query parameters."""

    @classmethod
    def parse(cls, query: QueryDict) -> dict[str, Any]:
        """Return the values of the query parameters, with defaults for missing query parameters.

        Raises:
            ValidationError: a query parameter is wrong; `detail` maps each wrong parameter to its error texts.
        """
        serializer = cls(data=query.dict())
        errors = {
            name: [ErrorDetail("Unknown parameter.", "unknown")] for name in query if name not in serializer.fields
        }
        errors |= {
            name: [ErrorDetail("Given more than once.", "repeated")]
            for name, values in query.lists()
            if len(values) > 1
        }
        if not serializer.is_valid() or errors:
            raise serializers.ValidationError({**serializer.errors, **errors})
        return dict(serializer.validated_data)


class PageParameters(Parameters):
    """The query parameters that select one page of a list."""

    cursor = serializers.CharField(
        default="",
        allow_blank=True,
        help_text="The cursor in the `next` or `previous` URL of another page. Empty for the first page.",
    )
    limit = serializers.IntegerField(
        default=PAGE_SIZE, min_value=1, max_value=MAX_PAGE_ROWS, help_text="Maximum number of rows per page."
    )


class InstanceParameter(serializers.Serializer[Any]):
    """The query parameter that selects the rows of one instance."""

    instance = serializers.IntegerField(
        default=None, min_value=1, max_value=MAX_ID, help_text="Only rows of the instance with this id."
    )


def _search_field(help_text: str) -> serializers.CharField:
    return serializers.CharField(default="", allow_blank=True, max_length=MAX_SEARCH_LENGTH, help_text=help_text)


def _kind_field(kinds: type[TextChoices], help_text: str) -> serializers.ChoiceField:
    return serializers.ChoiceField(kinds.choices, default="", allow_blank=True, help_text=help_text)


class ContactParameters(PageParameters, InstanceParameter):
    """Query parameters of the list of contacts."""

    search = _search_field("Part of a name, a phone number or a LID.")


class ConversationParameters(PageParameters, InstanceParameter):
    """Query parameters of the list of conversations."""

    archived = FlagField(default=None, help_text="Only conversations that are archived (true) or not (false).")
    pinned = FlagField(default=None, help_text="Only conversations that are pinned (true) or not (false).")
    unread = FlagField(default=None, help_text="Only conversations with (true) or without (false) unread messages.")
    deleted = FlagField(
        default=False,
        help_text="Only conversations that were deleted on the phone (true) or were not (false, default).",
    )
    kind = _kind_field(Conversation.Kind, "Only conversations of this kind.")
    search = _search_field("Part of a name or of an address.")
    updated_after = serializers.DateTimeField(
        default=None,
        default_timezone=dt.UTC,
        help_text="Only conversations changed after this time, oldest change first. To poll for changes, pass the "
        "`updated_at` of the last row that you received.",
    )


class MessageParameters(PageParameters, InstanceParameter):
    """Query parameters of the list of messages of all conversations."""

    kind = _kind_field(Message.Kind, "Only messages of this kind.")
    from_me = FlagField(default=None, help_text="Only messages that the instance sent (true) or received (false).")
