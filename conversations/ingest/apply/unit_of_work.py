"""Collects the changed fields of rows, and writes each changed row once, with only its changed fields."""

from collections.abc import Collection
from typing import Any

from django.db import models

from cachelayer.orm.rules import get_rule
from conversations.models.base import TimestampedModel


class UnitOfWork:
    """The changed fields, not yet written to the database, of rows of any model."""

    def __init__(self) -> None:
        self._fields: dict[models.Model, set[str]] = {}

    def set(self, row: models.Model, **values: Any) -> set[str]:
        """Set attributes of a row; return the names of the attributes whose values changed."""
        changed = {name for name, value in values.items() if getattr(row, name) != value}
        for name in changed:
            setattr(row, name, values[name])
        self.mark(row, changed)
        return changed

    def mark(self, row: models.Model, fields: Collection[str]) -> None:
        """Record fields of a row as changed; an empty collection records nothing."""
        if fields:
            self._fields.setdefault(row, set()).update(fields)

    def discard(self, row: models.Model) -> None:
        """Drop the recorded changes of a row, because the row will be deleted."""
        self._fields.pop(row, None)

    @property
    def rows(self) -> Collection[models.Model]:
        """The rows with recorded changes."""
        return self._fields.keys()

    def save(self, only: type[models.Model] = models.Model) -> None:
        """Write the recorded changes of the rows of one class, or of all rows.

        Rows of one model with the same changed fields are written together.
        """
        fields = {row: names for row, names in self._fields.items() if isinstance(row, only)}
        self._fields = {row: names for row, names in self._fields.items() if row not in fields}
        groups: dict[tuple[type[models.Model], frozenset[str]], list[models.Model]] = {}
        for row, names in fields.items():
            times = {"updated_at"} if isinstance(row, TimestampedModel) else set()
            groups.setdefault((type(row), frozenset(names | times)), []).append(row)
        for (model, shared), rows in groups.items():
            manager: Any = model._default_manager  # noqa: SLF001 - Django documents _default_manager
            if get_rule(model) is not None:
                manager.fast_bulk_update(rows, shared)
            else:
                for row in rows:
                    row.save(update_fields=sorted(shared))
