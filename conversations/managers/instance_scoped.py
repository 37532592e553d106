"""What the managers of an instance's rows share: their lists are an instance's, or everybody's."""

from typing import TYPE_CHECKING, TypeVar

from django.db import models

from conversations.db.managers import TableManager

if TYPE_CHECKING:
    from conversations.models import Instance

Row = TypeVar("Row", bound=models.Model)


class InstanceScopedManager(TableManager[Row]):
    """A manager of rows that each belong to an instance."""

    def scoped_to(self, instance: "Instance | int | None") -> models.QuerySet[Row]:
        """Return an instance's rows, or all instances' for None."""
        return self.all() if instance is None else self.filter(instance=pk_of(instance))

    def list_tag(self, instance: "Instance | int | None") -> str:
        """Return the tag of those rows as a list, as `conversations.cache_policy` has it."""
        plural = f"{self.model._meta.model_name}s"  # noqa: SLF001 - Django's documented way to a model's name
        return f"{plural}:all" if instance is None else f"{plural}:instance:{pk_of(instance)}"


def pk_of(row: models.Model | int) -> int:
    """Return the primary key of a row that is given as itself or by it."""
    return row if isinstance(row, int) else row.pk
