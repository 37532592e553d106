"""The base manager of models whose rows each belong to one instance."""

from typing import Any, TypeVar

from django.db import models, transaction

from conversations.db.managers import TableManager
from conversations.models.base import pk_of
from conversations.models.instance import Instance

Row = TypeVar("Row", bound=models.Model)


class InstanceScopedManager(TableManager[Row]):
    """Lists the rows of one instance or of all instances, and deletes rows while holding the instance lock."""

    def scoped_to(self, instance: Instance | int | None) -> models.QuerySet[Row]:
        """Return the rows of an instance; None stands for the rows of all instances."""
        return self.all() if instance is None else self.filter(instance=pk_of(instance))

    def list_tag(self, instance: Instance | int | None) -> str:
        """Return the cache tag that `conversations.cache_policy` declares for the list of an instance's rows."""
        plural = f"{self.model._meta.model_name}s"  # noqa: SLF001 - Django documents _meta
        return f"{plural}:all" if instance is None else f"{plural}:instance:{pk_of(instance)}"

    def delete(self, pk: int) -> bool:
        """Delete a row and the rows that cascade from it, while holding the lock of the row's instance.

        Returns:
            Whether the row existed.

        Raises:
            RestrictedError: another row still refers to the row by a foreign key with `RESTRICT`.
        """
        rows: models.QuerySet[Any] = self.filter(pk=pk)
        with transaction.atomic():
            instance_id = rows.values_list("instance", flat=True).first()
            if instance_id is None:
                return False
            Instance.objects.lock(instance_id)
            return bool(rows.delete()[0])
