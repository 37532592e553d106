"""The base classes of the serializers.

Each serializer lists its fields, so that a new column does not appear in the API by itself. In the JSON, an unknown
text is "", and any other unknown value is null.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, TypeVar

from django.db.models import Model
from rest_framework import serializers

from conversations.db.managers import TableManager

Row = TypeVar("Row", bound=Model)
# The names of the fields to show and of the expansions, in the context of the serializer of a response.
FIELDS, EXPAND = "fields", "expand"


class RowSerializer(serializers.ModelSerializer[Row]):
    """Serializes rows; the client may ask for fewer fields, and for related rows.

    `expansions` maps the names of the fields that contain a related row to the manager that reads these rows. Such a
    field has the name of the model's foreign key, and is left out unless the client asks for it.
    """

    expansions: ClassVar[dict[str, TableManager[Any]]] = {}

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._nested: dict[int, Any] = {}  # the JSON of the rows inside other rows, by primary key

    def to_representation(self, instance: Row) -> Any:
        """Return a row as JSON. A row that stands inside many rows, such as their instance, is serialized once."""
        if self._is_root():
            return super().to_representation(instance)
        if instance.pk not in self._nested:
            self._nested[instance.pk] = super().to_representation(instance)
        return self._nested[instance.pk]

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Return the fields that the client asked for, and `id`. The rows inside another row have all fields."""
        fields = super().get_fields()
        if EXPAND not in self.context:
            return fields  # for the OpenAPI schema
        context = self.context if self._is_root() else {}
        wanted, expand = context.get(FIELDS, ()), ("id", *context.get(EXPAND, ()))
        shown = {name: field for name, field in fields.items() if name not in self.expansions or name in expand}
        return {name: field for name, field in shown.items() if not wanted or name in wanted or name in expand}

    def _is_root(self) -> bool:
        parent: Any = self.parent  # the declared type leaves out that the outermost serializer has no parent
        return parent is None or (parent.parent is None and getattr(parent, "many", False))

    @classmethod
    def load_related(cls, rows: Sequence[Any], names: tuple[str, ...]) -> None:
        """Read the related rows of all rows with one lookup per name, and attach them to the rows."""
        for name in names:
            column = f"{name}_id"
            related = cls.expansions[name].fetch_many(pk for row in rows if (pk := getattr(row, column)) is not None)
            for row in rows:
                if (found := related.get(getattr(row, column))) is not None:
                    setattr(row, name, found)


class NestedFieldsSerializer(serializers.Serializer[Any]):
    """A nested JSON object made of fields of the parent's row.

    Subclasses set `null_when_empty` to the name of a field; if this field is empty, the nested object is null.
    """

    null_when_empty: ClassVar[str]

    def __init__(self, **options: Any) -> None:
        super().__init__(source="*", allow_null=True, read_only=True, **options)

    def to_representation(self, instance: Any) -> dict[str, Any] | None:  # type: ignore[override]  # may return None
        """Return the nested JSON object or None."""
        return super().to_representation(instance) if getattr(instance, self.null_when_empty) else None
