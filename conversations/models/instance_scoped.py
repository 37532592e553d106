"""The base manager of models whose rows each belong to one instance."""

from collections.abc import Collection
from typing import Any, TypeVar

from django.db import models, transaction
from django.db.models import Q

from conversations.db.managers import TableManager
from conversations.db.parts import Parts
from conversations.models.base import pk_of
from conversations.models.instance import Instance

Row = TypeVar("Row", bound=models.Model)
# One instance, the primary keys of several instances, or None for all instances.
Instances = Instance | int | Collection[int] | None


def instance_pks(instances: Instances) -> tuple[int, ...] | None:
    """Return the sorted primary keys of some instances; None for all instances."""
    if instances is None:
        return None
    return (pk_of(instances),) if isinstance(instances, Instance | int) else tuple(sorted(set(instances)))


def scope(instances: Instances) -> Q:
    """Return the filter for the rows of some instances."""
    pks = instance_pks(instances)
    if pks is None:
        return Q()
    return Q(instance=pks[0]) if len(pks) == 1 else Q(instance__any_of=pks)


class InstanceScopedManager(TableManager[Row]):
    """Lists the rows of one instance or of all instances, and deletes rows while holding the instance lock."""

    def scoped_to(self, instances: Instances) -> models.QuerySet[Row]:
        """Return the rows of some instances."""
        return self.filter(scope(instances))

    def rows_of(
        self, instances: Instances, condition: Q, *, is_small: bool = False
    ) -> models.QuerySet[Row] | Parts[Row]:
        """Return the rows of some instances for which a condition is true, for `fetch_page`.

        Args:
            instances: one instance, the primary keys of several, or None for all instances.
            condition: the filter of the list.
            is_small: whether the condition alone selects few rows, which one query then finds in all instances.
        """
        pks = instance_pks(instances)
        if is_small or not pks:
            return self.scoped_to(instances).filter(condition)
        return Parts(self.filter(condition), "instance", pks)

    def list_tag(self, instances: Instances) -> str:
        """Return the cache tag that `conversations.cache_policy` declares for a list of the instances' rows."""
        plural, pks = f"{self.model._meta.model_name}s", instance_pks(instances)  # noqa: SLF001 - Django documents _meta
        return f"{plural}:instance:{pks[0]}" if pks and len(pks) == 1 else f"{plural}:all"

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
