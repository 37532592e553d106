"""The base class of the JSON objects that clients send, and fields that accept only values of their own JSON type."""

from collections.abc import Collection
from typing import Any, ClassVar, cast

from django.utils.translation import gettext_noop as _
from drf_spectacular.extensions import OpenApiSerializerExtension
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail

from conversations.api.query_params import UNKNOWN

READ_ONLY = ErrorDetail(_("This field cannot be changed."), "read_only")


class Body(serializers.Serializer[Any]):
    """A JSON object that a client sends; an unknown name in it is an error, as a misspelt limit must not be ignored."""

    # The names in the row that the body changes: those that are not fields of the body cannot be changed.
    names_of_row: ClassVar[Collection[str]] = ()

    @classmethod
    def parse(cls, data: Any) -> dict[str, Any]:
        """Return the values of the fields, with defaults for missing ones.

        Raises:
            ValidationError: a value is wrong; `detail` maps each wrong name to its error texts.
        """
        serializer = cls(data=data)
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)

    def to_internal_value(self, data: Any) -> Any:
        """Return the values of the fields; a name that is not a field is an error."""
        others = [name for name in data if name not in self.fields] if isinstance(data, dict) else []
        errors = {name: [READ_ONLY if name in self.names_of_row else UNKNOWN] for name in others}
        try:
            values = super().to_internal_value(data)
        except serializers.ValidationError as error:
            raise serializers.ValidationError({**cast("dict[str, Any]", error.detail), **errors}) from None
        if errors:
            raise serializers.ValidationError(errors)
        return values


class BodyExtension(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]  # the base class has an untyped __init_subclass__
    """Says in the OpenAPI schema that a body has no other names."""

    target_class = "conversations.api.bodies.Body"
    match_subclasses = True

    def map_serializer(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        """Return the schema of the body."""
        schema = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)  # noqa: SLF001 - documented so
        return {**schema, "additionalProperties": False}


class TextField(serializers.CharField):
    """A text in a body; a number is an error."""

    def to_internal_value(self, data: Any) -> str:
        """Return the text."""
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class WholeField(serializers.IntegerField):
    """A whole number in a body; a text, a fraction and a flag are errors."""

    def to_internal_value(self, data: Any) -> int:
        """Return the number; in JSON, 12.0 is the same number as 12."""
        if isinstance(data, float) and data.is_integer():
            data = int(data)
        if type(data) is not int:
            self.fail("invalid")
        return super().to_internal_value(data)


class BoundedListField(serializers.ListField):
    """A list in a body; a list that is too long is one error, whatever it contains."""

    def to_internal_value(self, data: Any) -> list[Any]:
        """Return the values."""
        limit = self.max_length
        if limit is not None and isinstance(data, list) and len(data) > limit:
            self.fail("max_length", max_length=limit)
        return super().to_internal_value(data)


class SwitchField(serializers.BooleanField):
    """A flag in a body; a text or a number is an error."""

    def to_internal_value(self, data: Any) -> bool:
        """Return the flag."""
        if type(data) is not bool:
            self.fail("invalid", input=data)
        return data
