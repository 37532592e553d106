"""Querysets whose bulk writes are announced too: no way through the ORM goes past the cache.

Where the rows that change are not known without a query, everything in their namespaces is touched: coarse, and right.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, TypeVar

from django.db import connections, models, transaction

from cachelayer import cascade, recordset, transactions
from cachelayer.writing import MANY

Row = TypeVar("Row", bound=models.Model)


class CachedQuerySet(models.QuerySet[Row]):
    """A queryset of a cached model."""

    def update(self, **values: Any) -> int:
        """Update as Django does, in a transaction, all that the rows are part of being touched."""
        self._not_support_combined_queries("update")  # type: ignore[attr-defined]  # before anything is touched
        self._for_write = True  # so that `db` is the one that is written to
        with transaction.atomic(using=self.db, savepoint=False):
            self._touch_all()
            return super().update(**values)

    update.alters_data = True  # type: ignore[attr-defined]  # Django's mark: templates must not call it

    def bulk_create(self, objs: Iterable[Row], *args: Any, **kwargs: Any) -> list[Row]:
        """Insert as Django does; with conflicts to be resolved, rows may change that nobody has named."""
        objs = list(objs)
        known = not (kwargs.get("update_conflicts") or kwargs.get("ignore_conflicts")) and not args[1:]
        self._for_write = True  # so that `db` is the one that is written to
        with transaction.atomic(using=self.db, savepoint=False):
            if objs:
                self._touch(objs, exactly=known)
            return super().bulk_create(objs, *args, **kwargs)

    def bulk_update(self, objs: Iterable[Row], fields: Iterable[str], batch_size: int | None = None) -> int:
        """Update as Django does."""
        self._for_write = True  # so that `db` is the one that is written to
        with transaction.atomic(using=self.db, savepoint=False):
            self._touch_all()
            return super().bulk_update(objs, fields, batch_size)

    def insert_rows(self, rows: Sequence[Row]) -> None:
        """Insert new rows by one statement that is as long for many as for one; exactly what they are in is touched.

        Where `bulk_create` spends most of its time on writing the statement, this takes two thirds of its time in all.
        Like it, it sends no signals.

        Args:
            rows: rows of one table that are not in the database, whose related rows are. They get primary keys.
        """
        self._for_write = True  # so that `db` is the one that is written to
        with transaction.atomic(using=self.db, savepoint=False):
            if rows:
                self._touch(rows, exactly=True)
                recordset.insert(connections[self.db], rows)

    insert_rows.alters_data = True  # type: ignore[attr-defined]  # as above

    def save_rows(self, rows: Sequence[Row], fields: Collection[str]) -> None:
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
                self._touch(rows, exactly=True)
                recordset.update(connections[self.db], rows, fields)

    save_rows.alters_data = True  # type: ignore[attr-defined]  # as above

    def _raw_delete(self, using: str | None) -> int:
        """Delete in SQL alone: what Django does where no signal is asked for, as in large cascades."""
        with transaction.atomic(using=using, savepoint=False):
            rule = cascade.rule_of(self.model)
            if rule is not None:
                transactions.begin(using or self.db, rule.names)
            return super()._raw_delete(using)

    def _touch_all(self) -> None:
        rule = cascade.rule_of(self.model)
        if rule is not None:
            transactions.begin(self.db, rule.names)

    def _touch(self, rows: Iterable[Row], *, exactly: bool) -> None:
        """Touch what rows are in, or everything in their namespaces if that is not known or too much."""
        rule = cascade.rule_of(self.model)
        if rule is None:
            return
        tags: dict[str, None] = {}
        for row in rows:
            tags.update(dict.fromkeys(rule.of(row)))
            if not exactly or len(tags) > MANY:
                self._touch_all()
                return
        transactions.begin(self.db, list(tags))
