"""The base of the models: timestamps, a text form for the admin and logs, and the page size."""

from typing import ClassVar

from django.db import models
from django.utils import timezone

from cachelayer import CachedModel

PAGE_SIZE = 50  # rows per page, unless the caller passes a limit


class TimestampedModel(CachedModel):
    """A cached row with two timestamps. `save()` sets `updated_at`; bulk writes must set it themselves."""

    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    # The fields that `str()` shows. They never contain a message body or a secret.
    str_fields: ClassVar[tuple[str, ...]] = ("pk",)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return " ".join(str(value) for name in self.str_fields if (value := getattr(self, name)) not in ("", None))


def pk_of(row: models.Model | int) -> int:
    """Return the primary key of a row; a primary key is returned unchanged."""
    return row if isinstance(row, int) else row.pk
