"""Collects what changes on rows, and writes it once: only fields that differ, only rows that changed."""

from collections.abc import Collection
from typing import Any

from django.db import models

from cachelayer.orm.rules import get_rule
from conversations.models.base import TimestampedModel


class UnitOfWork:
    """Fields changed on rows, of any models, not yet written."""

    def __init__(self) -> None:
        self._fields: dict[models.Model, set[str]] = {}

    def set(self, row: models.Model, **values: Any) -> set[str]:
        """Set attributes of a row; return the names of those that differed."""
        differing = {name for name, value in values.items() if getattr(row, name) != value}
        for name in differing:
            setattr(row, name, values[name])
        self.mark(row, differing)
        return differing

    def mark(self, row: models.Model, fields: Collection[str]) -> None:
        """Note fields as changed; nothing to note is nothing to write."""
        if fields:
            self._fields.setdefault(row, set()).update(fields)

    def discard(self, row: models.Model) -> None:
        """Drop what was noted of a row that is no more."""
        self._fields.pop(row, None)

    @property
    def rows(self) -> Collection[models.Model]:
        """The rows that are to be written."""
        return self._fields.keys()

    def save(self) -> None:
        """Write everything noted: rows of one model that differ in the same fields together."""
        fields, self._fields = self._fields, {}
        alike: dict[tuple[type[models.Model], frozenset[str]], list[models.Model]] = {}
        for row, names in fields.items():
            times = {"updated_at"} if isinstance(row, TimestampedModel) else set()
            alike.setdefault((type(row), frozenset(names | times)), []).append(row)
        for (model, shared), rows in alike.items():
            manager: Any = model._default_manager  # noqa: SLF001 - Django's documented way to it
            if get_rule(model) is not None:
                manager.fast_bulk_update(rows, shared)
            else:
                for row in rows:
                    row.save(update_fields=sorted(shared))
