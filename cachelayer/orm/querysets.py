"""Querysets whose bulk writes invalidate cached entries, so that no write through the ORM bypasses the cache.

A write whose changed rows could be found only with a query invalidates all entries of the model's namespaces: coarse,
but never stale.
"""

from collections.abc import Iterable
from typing import Any, TypeVar

from django.db import models, transaction

from cachelayer.orm.rules import get_rule
from cachelayer.write import transactions
from cachelayer.write.intents import MAX_TAGS

Row = TypeVar("Row", bound=models.Model)


class CachedQuerySet(models.QuerySet[Row]):
    """A queryset of a cached model, whose bulk writes invalidate cached entries."""

    def update(self, **values: Any) -> int:
        """Update as Django does, in a transaction that invalidates all entries of the model's namespaces."""
        self._not_support_combined_queries("update")  # type: ignore[attr-defined]  # raise before a tag is touched
        self._for_write = True  # makes `self.db` the database that receives writes
        with transaction.atomic(using=self.db, savepoint=False):
            self.invalidate_namespaces()
            return super().update(**values)

    update.alters_data = True  # type: ignore[attr-defined]  # tells Django that templates must not call `update`

    def bulk_create(self, objs: Iterable[Row], *args: Any, **kwargs: Any) -> list[Row]:
        """Insert as Django does; if conflict handling may change rows not in `objs`, invalidate the namespaces."""
        objs = list(objs)
        handles_conflicts = kwargs.get("update_conflicts") or kwargs.get("ignore_conflicts") or args[1:]
        self._for_write = True  # makes `self.db` the database that receives writes
        with transaction.atomic(using=self.db, savepoint=False):
            if objs and handles_conflicts:
                self.invalidate_namespaces()
            elif objs:
                self.invalidate_rows(objs)
            return super().bulk_create(objs, *args, **kwargs)

    def bulk_update(self, objs: Iterable[Row], fields: Iterable[str], batch_size: int | None = None) -> int:
        """Update as Django does, in a transaction that invalidates all entries of the model's namespaces."""
        self._for_write = True  # makes `self.db` the database that receives writes
        with transaction.atomic(using=self.db, savepoint=False):
            self.invalidate_namespaces()
            return super().bulk_update(objs, fields, batch_size)

    def _raw_delete(self, using: str | None) -> int:
        """Delete in SQL, as Django does where nothing needs a Django signal, and invalidate the model's namespaces."""
        with transaction.atomic(using=using, savepoint=False):
            rule = get_rule(self.model)
            if rule is not None:
                transactions.begin(using or self.db, rule.namespace_tags)
            return super()._raw_delete(using)

    def invalidate_namespaces(self) -> None:
        """Touch the namespaces of a write to unknown rows; must be called inside the transaction of the write."""
        rule = get_rule(self.model)
        if rule is not None:
            transactions.begin(self.db, rule.namespace_tags)

    def invalidate_rows(self, rows: Iterable[Row]) -> None:
        """Touch the tags of rows that are about to change, or the model's namespaces if there are too many tags."""
        rule = get_rule(self.model)
        if rule is None:
            return
        tags: dict[str, None] = {}
        for row in rows:
            tags.update(dict.fromkeys(rule.tags_for(row)))
            if len(tags) > MAX_TAGS:
                self.invalidate_namespaces()
                return
        transactions.begin(self.db, list(tags))
