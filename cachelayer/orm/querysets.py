"""Querysets whose bulk writes invalidate cached entries, so that no write through the ORM bypasses the cache.

A write whose changed rows could be found only with a query invalidates all entries of the model's namespaces: coarse,
but never stale.
"""

from collections.abc import Iterable, Sequence
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
            if not objs or handles_conflicts:
                if objs:
                    self.invalidate_namespaces()
                return super().bulk_create(objs, *args, **kwargs)
            self.invalidate_new_rows(objs)
            created = super().bulk_create(objs, *args, **kwargs)
            self.remember_rows(created)
            return created

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

    def invalidate_new_rows(self, rows: Iterable[Row]) -> None:
        """Touch the tags of rows that are about to be inserted, or the model's namespaces if some tags are not known.

        A foreign key without a value is not known either: Django sets the key if the related row was saved meanwhile.
        """
        rule = get_rule(self.model)
        if rule is not None:
            rows = list(rows)
            is_known = all(getattr(row, column) is not None for row in rows for column in rule.columns[1:])
            self._touch(rule.tags_of_inserts(rows) if is_known else [rule.namespace_tags])

    def invalidate_rows(self, rows: Iterable[Row]) -> None:
        """Touch the tags of loaded and locked rows, or the model's namespaces if there are too many tags."""
        rule = get_rule(self.model)
        if rule is not None:
            self._touch(rule.tags_of_locked(rows))

    def remember_rows(self, rows: Iterable[Row]) -> None:
        """Let inserted rows remember their tags, so that a later write to them needs no query."""
        rule = get_rule(self.model)
        if rule is not None:
            for row in rows:
                rule.remember_saved(row, None)

    def _touch(self, tags_of_rows: Iterable[Sequence[str]]) -> None:
        tags: dict[str, None] = {}
        for tags_of_row in tags_of_rows:
            tags.update(dict.fromkeys(tags_of_row))
            if len(tags) > MAX_TAGS:
                self.invalidate_namespaces()
                return
        transactions.begin(self.db, list(tags))
