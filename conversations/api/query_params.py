"""Query parameters of the list endpoints: one serializer validates the parameters of one list.

Each serializer field has the name of an argument of the manager's list method. Wrong values, unknown parameters and
repeated parameters are errors, because without a misspelt filter a list would contain rows that the client did not ask
for.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

from django.http import QueryDict
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop as noop
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail

from cachelayer.orm.managers import MAX_ID
from conversations.api.serializers.base import EXPAND, FIELDS, RowSerializer
from conversations.models.base import PAGE_SIZE

UNKNOWN, REPEATED = (
    ErrorDetail(noop("Unknown parameter."), "unknown"),
    ErrorDetail(noop("Given more than once."), "repeated"),
)
MAX_PAGE_ROWS = 200
MAX_IDS = 200  # maximum number of ids in one parameter


@extend_schema_field({"type": "string", "enum": ["true", "false", "any"]})
class FlagField(serializers.Field[bool | None, str, bool | None, Any]):
    """A query parameter that filters by a boolean column: `true`, `false`, or `any` for no filter."""

    words: ClassVar[dict[str, bool | None]] = {"true": True, "false": False, "any": None}
    default_error_messages = {"invalid": _("Must be true, false or any.")}

    def to_internal_value(self, data: str) -> bool | None:
        """Convert `true`, `false` or `any`, in upper or lower case, to True, False or None."""
        word = data.lower()
        if word not in self.words:
            self.fail("invalid")
        return self.words[word]

    def to_representation(self, value: bool | None) -> Any:  # noqa: FBT001 - DRF defines the signature
        """Convert True, False or None to `true`, `false` or `any`."""
        return next(word for word, meaning in self.words.items() if meaning is value)


class CommaSeparatedField(serializers.CharField):
    """A query parameter that contains values separated by commas.

    `array_schema` is the OpenAPI schema of the values.
    """

    array_schema: Mapping[str, Any]


class IdsField(CommaSeparatedField):
    """A query parameter that contains ids separated by commas."""

    default_error_messages = {
        "invalid": _("Must be ids separated by commas."),
        "too_many": _("Must be {limit} ids at most."),
    }
    array_schema: Mapping[str, Any] = MappingProxyType(
        {
            "type": "array",
            "items": {"type": "integer", "format": "int64", "minimum": 1, "maximum": MAX_ID},
            "minItems": 1,
            "maxItems": MAX_IDS,
        }
    )

    def to_internal_value(self, data: Any) -> Any:
        """Convert the text to sorted ids without duplicates."""
        words = super().to_internal_value(data).split(",")
        if len(words) > MAX_IDS:
            self.fail("too_many", limit=MAX_IDS)
        if not all(word.isascii() and word.isdigit() and len(word) <= len(str(MAX_ID)) for word in words):
            self.fail("invalid")
        ids = sorted({int(word) for word in words})
        if ids[0] < 1 or ids[-1] > MAX_ID:
            self.fail("invalid")
        return tuple(ids)


def instance_field() -> IdsField:
    """Return the parameter that selects the instances whose rows are returned."""
    return IdsField(
        default=None, help_text="Only rows of the instances with these ids. Several ids are separated by commas."
    )


class NamesField(CommaSeparatedField):
    """A query parameter that contains names separated by commas; each must be one of the names that are known."""

    default_error_messages = {"unknown": _("Unknown: {names}. Known are: {known}.")}

    def __init__(self, known: Sequence[str], **options: Any) -> None:
        super().__init__(required=False, **options)
        self.known = known
        self.array_schema = {"type": "array", "items": {"type": "string", "enum": list(known)}, "minItems": 1}

    def to_internal_value(self, data: Any) -> Any:
        """Convert the text to names without duplicates."""
        names = tuple(dict.fromkeys(super().to_internal_value(data).split(",")))
        if unknown := [name for name in names if name not in self.known]:
            self.fail("unknown", names=", ".join(unknown), known=", ".join(self.known))
        return names


class Parameters(serializers.Serializer[Any]):
    """Validates query parameters, of which none may be unknown or given twice.

    `moved` maps the names of parameters that clients might expect to the requests that replace them.
    """

    moved: ClassVar[Mapping[str, str]] = MappingProxyType({})

    @classmethod
    def parse(cls, query: QueryDict) -> dict[str, Any]:
        """Return the values of the query parameters, with defaults for missing ones.

        Raises:
            ValidationError: a query parameter is wrong; `detail` maps each wrong parameter to its error texts.
        """
        serializer = cls(data=query.dict())
        errors = {name: [cls._unknown(name)] for name in query if name not in serializer.fields}
        errors |= {name: [REPEATED] for name, values in query.lists() if len(values) > 1}
        if not serializer.is_valid() or errors:
            raise serializers.ValidationError({**serializer.errors, **errors})
        return dict(serializer.validated_data)

    @classmethod
    def _unknown(cls, name: str) -> ErrorDetail:
        if name not in cls.moved:
            return UNKNOWN
        text = _("Unknown parameter. Use %(name)s instead.") % {"name": cls.moved[name]}
        return ErrorDetail(text, "unknown")


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


def row_parameters(serializer: type[RowSerializer[Any]]) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
    """Return the parameters that choose the content of rows: `fields`, and `expand` if there is something to expand."""
    expansions = tuple(serializer.expansions)
    names = [name for name in serializer.Meta.fields if name not in expansions]
    fields = {FIELDS: NamesField(names, help_text="Names of the fields to return, separated by commas.")}
    if expansions:
        text = f"Related rows to return inside each row, separated by commas: {', '.join(expansions)}."
        fields[EXPAND] = NamesField(expansions, help_text=text)
    return dict(fields)


def with_row_parameters(parameters: type[Parameters], serializer: type[RowSerializer[Any]]) -> type[Parameters]:
    """Return parameters that also choose the content of the rows."""
    return type(f"{serializer.__name__}{parameters.__name__}", (parameters,), row_parameters(serializer))
