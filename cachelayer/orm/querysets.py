"""Querysets whose bulk writes invalidate too, so that no write through the ORM bypasses the cache.

Where the changed rows are not known without a query, everything in their namespaces is invalidated: coarse, but right.
"""

from collections.abc import Iterable
from typing import Any, TypeVar

from django.db import models, transaction

from cachelayer.orm.rules import get_rule
from cachelayer.write import transactions
from cachelayer.write.intents import MAX_TAGS

Row = TypeVar("Row", bound=models.Model)


class CachedQuerySet(models.QuerySet[Row]):
    """A queryset of a cached model."""

    def update(self, **values: Any) -> int:
        """Update as Django does, in a transaction that invalidates the namespaces of the rows."""
        self._not_support_combined_queries("update")  # type: ignore[attr-defined]  # fail before anything is touched
        self._for_write = True  # makes `db` the database that is written to
        with transaction.atomic(using=self.db, savepoint=False):
            self.invalidate_namespaces()
            return super().update(**values)

    update.alters_data = True  # type: ignore[attr-defined]  # Django's mark: templates must not call it

    def bulk_create(self, objs: Iterable[Row], *args: Any, **kwargs: Any) -> list[Row]:
        """Insert as Django does. With conflict handling, rows that are not in `objs` may change."""
        objs = list(objs)
        handles_conflicts = kwargs.get("update_conflicts") or kwargs.get("ignore_conflicts") or args[1:]
        self._for_write = True  # makes `db` the database that is written to
        with transaction.atomic(using=self.db, savepoint=False):
            if objs and handles_conflicts:
                self.invalidate_namespaces()
            elif objs:
                self.invalidate_rows(objs)
            return super().bulk_create(objs, *args, **kwargs)

    def bulk_update(self, objs: Iterable[Row], fields: Iterable[str], batch_size: int | None = None) -> int:
        """Update as Django does, in a transaction that invalidates the namespaces of the rows."""
        self._for_write = True  # makes `db` the database that is written to
        with transaction.atomic(using=self.db, savepoint=False):
            self.invalidate_namespaces()
            return super().bulk_update(objs, fields, batch_size)

    def _raw_delete(self, using: str | None) -> int:
        """Delete in SQL only, as Django does where no signal is needed, for instance in large cascades."""
        with transaction.atomic(using=using, savepoint=False):
            rule = get_rule(self.model)
            if rule is not None:
                transactions.begin(using or self.db, rule.namespace_tags)
            return super()._raw_delete(using)

    def invalidate_namespaces(self) -> None:
        """Begin a write to rows that are not known: touch the namespaces. Call it inside the transaction."""
        rule = get_rule(self.model)
        if rule is not None:
            transactions.begin(self.db, rule.namespace_tags)

    def invalidate_rows(self, rows: Iterable[Row]) -> None:
        """Begin a write to these rows: touch their tags, or their namespaces if the tags are too many."""
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
