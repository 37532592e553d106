"""Collects what changes on rows, and writes it once: only fields that differ, only rows that changed."""

from collections.abc import Iterable
from typing import Any

from django.db import models

from conversations.models.base import Row


class Changes:
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

    def mark(self, row: models.Model, fields: Iterable[str]) -> None:
        """Note fields as changed; nothing to note is nothing to write."""
        if names := {name.removesuffix("_id") if name == "sender_id" else name for name in fields}:
            self._fields.setdefault(row, set()).update(names)

    def forget(self, row: models.Model) -> None:
        """Drop what was noted of a row that is no more."""
        self._fields.pop(row, None)

    def save(self) -> None:
        """Write everything noted, row by row: one statement with a CASE for each takes longer to build than these."""
        fields, self._fields = self._fields, {}
        for row, names in fields.items():
            times = {"updated_at"} if isinstance(row, Row) else set()
            row.save(update_fields=sorted(names | times))
