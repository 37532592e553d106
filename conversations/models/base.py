"""The base class of the main models, with timestamps and `__str__`, and the default page size."""

from typing import Any, ClassVar, TypeVar

from django.db import models
from django.utils import timezone

from cachelayer import CachedModel

PAGE_SIZE = 50  # rows per page, unless the caller passes `limit`


class TimestampedModel(CachedModel):
    """A cached model with creation and change times. `save()` sets `updated_at`, but bulk writes must set the field."""

    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    # The fields whose values `str()` shows. The fields must not contain secrets or the text of chat messages.
    str_fields: ClassVar[tuple[str, ...]] = ("pk",)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return " ".join(str(value) for name in self.str_fields if (value := self._shown(name)) not in ("", None))

    def _shown(self, name: str) -> Any:
        """Return the value of a field, or the label of a choice."""
        display = getattr(self, f"get_{name}_display", None)
        return display() if display else getattr(self, name)


Row = TypeVar("Row", bound=TimestampedModel)


def save_changes(row: Row, **fields: Any) -> Row:
    """Save the fields whose new values differ from the old ones; if none differs, leave `updated_at` as it is."""
    changed = [name for name, value in fields.items() if getattr(row, name) != value]
    for name in changed:
        setattr(row, name, fields[name])
    if changed:
        row.save(update_fields=[*changed, "updated_at"])
    return row


def pk_of(row: models.Model | int) -> int:
    """Return the primary key of `row`. If `row` is a primary key already, return `row`."""
    return row if isinstance(row, int) else row.pk
