"""Collects what changes on rows, and writes it once: only fields that differ, only rows that changed."""

from collections.abc import Iterable
from typing import Any

from django.db import models
from django.utils import timezone

# Up to here each row is saved on its own, which costs less than one statement for all.
FEW = 4
BATCH = 200


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
        """Write everything noted."""
        by_model: dict[type[models.Model], dict[models.Model, set[str]]] = {}
        for row, fields in self._fields.items():
            by_model.setdefault(type(row), {})[row] = fields
        self._fields = {}
        for model, changed in by_model.items():
            _save(model, changed)


def _save(model: type[models.Model], changed: dict[models.Model, set[str]]) -> None:
    has_time = any(field.name == "updated_at" for field in model._meta.concrete_fields)  # noqa: SLF001 - documented API
    time = {"updated_at"} if has_time else set()
    if len(changed) <= FEW:
        for row, fields in changed.items():
            row.save(update_fields=sorted(fields | time))
        return
    for row in changed:
        if has_time:
            row.updated_at = timezone.now()  # type: ignore[attr-defined]  # bulk_update calls no pre_save
    names = sorted(set().union(*changed.values()) | time)
    model._default_manager.bulk_update(changed, names, batch_size=BATCH)  # noqa: SLF001 - documented API
