"""What every row of the domain has: when it was made, when it last changed, and a text form free of personal data."""

from typing import ClassVar

from django.db import models
from django.utils import timezone

from cachelayer import CachedModel


class TimestampedModel(CachedModel):
    """A row with its two times; `updated_at` is set by `save()` and, in bulk, by whoever changes the row."""

    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    # The fields that name the row to a person; never a body or a secret.
    str_fields: ClassVar[tuple[str, ...]] = ("pk",)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return " ".join(str(value) for name in self.str_fields if (value := getattr(self, name)) not in ("", None))
