"""Querysets whose bulk writes are announced too: no way through the ORM goes past the cache.

Where the rows that change are not known without a query, everything in their namespaces is touched: coarse, and right.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, TypeVar

from django.db import connections, models, transaction

from cachelayer.orm import rules
from cachelayer.write import transactions
from cachelayer.write.intents import MAX_TAGS
from conversations.db import bulk

Row = TypeVar("Row", bound=models.Model)


class CachedQuerySet(models.QuerySet[Row]):
    """A queryset of a cached model."""

    def update(self, **values: Any) -> int:
        """Update as Django does, in a transaction, all that the rows are part of being touched."""
        self._not_support_combined_queries("update")  # type: ignore[attr-defined]  # before anything is touched
        self._for_write = True  # so that `db` is the one that is written to
        with transaction.atomic(using=self.db, savepoint=False):
            self._invalidate_namespaces()
            return super().update(**values)

    update.alters_data = True  # type: ignore[attr-defined]  # Django's mark: templates must not call it

    def bulk_create(self, objs: Iterable[Row], *args: Any, **kwargs: Any) -> list[Row]:
        """Insert as Django does; with conflicts to be resolved, rows may change that nobody has named."""
        objs = list(objs)
        known = not (kwargs.get("update_conflicts") or kwargs.get("ignore_conflicts")) and not args[1:]
        self._for_write = True  # so that `db` is the one that is written to
        with transaction.atomic(using=self.db, savepoint=False):
            if objs:
                self._invalidate(objs, exactly=known)
            return super().bulk_create(objs, *args, **kwargs)

    def bulk_update(self, objs: Iterable[Row], fields: Iterable[str], batch_size: int | None = None) -> int:
        """Update as Django does."""
        self._for_write = True  # so that `db` is the one that is written to
        with transaction.atomic(using=self.db, savepoint=False):
            self._invalidate_namespaces()
            return super().bulk_update(objs, fields, batch_size)

    def fast_bulk_create(self, rows: Sequence[Row]) -> None:
        """Insert new rows by one statement that is as long for many as for one; exactly what they are in is touched.

        Where `bulk_create` spends most of its time on writing the statement, this takes two thirds of its time in all.
        Like it, it sends no signals.

        Args:
            rows: rows of one table that are not in the database, whose related rows are. They get primary keys.
        """
        self._for_write = True  # so that `db` is the one that is written to
        with transaction.atomic(using=self.db, savepoint=False):
            if rows:
                self._invalidate(rows, exactly=True)
                bulk.bulk_insert(connections[self.db], rows)

    fast_bulk_create.alters_data = True  # type: ignore[attr-defined]  # as above

    def fast_bulk_update(self, rows: Sequence[Row], fields: Collection[str]) -> None:
        """Write some fields of rows by one statement; exactly what they are in is touched.

        Unlike `bulk_update`, which has one statement with a case for each row, it is quick. Unlike `save` it sends no
        signals, and does not look whether a row has moved since it was read: lock the rows first.

        Args:
            rows: rows that are in the database, in one table.
            fields: names of fields, none of which a tag depends on.
        """
        self._for_write = True  # so that `db` is the one that is written to
        with transaction.atomic(using=self.db, savepoint=False):
            if rows:
                self._invalidate(rows, exactly=True)
                bulk.bulk_update(connections[self.db], rows, fields)

    fast_bulk_update.alters_data = True  # type: ignore[attr-defined]  # as above

    def _raw_delete(self, using: str | None) -> int:
        """Delete in SQL alone: what Django does where no signal is asked for, as in large cascades."""
        with transaction.atomic(using=using, savepoint=False):
            rule = rules.get_rule(self.model)
            if rule is not None:
                transactions.begin(using or self.db, rule.namespace_tags)
            return super()._raw_delete(using)

    def _invalidate_namespaces(self) -> None:
        rule = rules.get_rule(self.model)
        if rule is not None:
            transactions.begin(self.db, rule.namespace_tags)

    def _invalidate(self, rows: Iterable[Row], *, exactly: bool) -> None:
        """Touch what rows are in, or everything in their namespaces if that is not known or too much."""
        rule = rules.get_rule(self.model)
        if rule is None:
            return
        tags: dict[str, None] = {}
        for row in rows:
            tags.update(dict.fromkeys(rule.tags_for(row)))
            if not exactly or len(tags) > MAX_TAGS:
                self._invalidate_namespaces()
                return
        transactions.begin(self.db, list(tags))
