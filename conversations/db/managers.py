"""The base class of this project's model managers: cached keyset pages, and fast bulk writes."""

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, TypeVar

from django.db import connections, models, transaction

from cachelayer import CachedQuerySet, FetchManager, Page
from conversations.db.bulk import bulk_insert, bulk_update
from conversations.db.keyset import keyset_page
from conversations.db.parts import Parts

Row = TypeVar("Row", bound=models.Model)


class BulkQuerySet(CachedQuerySet[Row]):  # type: ignore[override]  # django-stubs gives both an `as_manager`
    """A queryset with fast bulk writes, which invalidate the cache tags of their rows but send no Django signals."""

    def fast_bulk_create(self, rows: Sequence[Row]) -> None:
        """Insert new rows in one statement whose length does not depend on the number of rows.

        The method takes two thirds of the time of `bulk_create`, which spends most of its time building the statement.

        Args:
            rows: unsaved rows of one table, whose related rows are saved; the method sets their primary keys.
        """
        self._for_write = True  # makes `self.db` the database for writes
        with transaction.atomic(using=self.db, savepoint=False):
            if rows:
                self.invalidate_new_rows(rows)
                bulk_insert(connections[self.db], rows)
                self.remember_rows(rows)

    fast_bulk_create.alters_data = True  # type: ignore[attr-defined]  # makes templates refuse to call the method

    def fast_bulk_update(self, rows: Sequence[Row], fields: Collection[str]) -> None:
        """Write some fields of existing rows in one statement.

        The method is faster than `bulk_update`, whose statement contains a CASE branch for each row. The caller must
        lock the rows first, because the method does not check whether a row's foreign keys have changed since the row
        was read.

        Args:
            rows: saved rows of one table.
            fields: names of the fields to write. If a cache tag depends on one of them, each row must have been loaded
                with its old value, and must not be written again.
        """
        self._for_write = True  # makes `self.db` the database for writes
        with transaction.atomic(using=self.db, savepoint=False):
            if rows:
                self.invalidate_rows(rows)
                bulk_update(connections[self.db], rows, fields)

    fast_bulk_update.alters_data = True  # type: ignore[attr-defined]  # makes templates refuse to call the method

    def fast_bulk_delete(self, rows: Sequence[Row]) -> None:
        """Delete rows in one statement; `delete` reads the tags of each row that may have changed with a query.

        Args:
            rows: saved rows of one table, which the caller has locked, and to which no other row refers at the end of
                the transaction.
        """
        self._for_write = True  # makes `self.db` the database for writes
        with transaction.atomic(using=self.db, savepoint=False):
            if rows:
                self.invalidate_rows(rows)
                stored = models.QuerySet[Row](self.model, using=self.db).filter(pk__any_of=[row.pk for row in rows])
                stored._raw_delete(self.db)  # noqa: SLF001 - Django calls _raw_delete in cascades

    fast_bulk_delete.alters_data = True  # type: ignore[attr-defined]  # makes templates refuse to call the method


class _PageManager(FetchManager[Row]):
    """Adds keyset pages to the cached reads of `FetchManager`."""

    def fetch_page(  # noqa: PLR0913 - all arguments together identify a page
        self,
        tag: str,
        load: Callable[[], models.QuerySet[Row] | Parts[Row]],
        order: Sequence[str],
        *,
        cursor: str,
        limit: int,
        fresh: bool = False,
        **filters: object,
    ) -> Page[Row]:
        """Return one keyset page of a list, from the cache or the database.

        Args:
            tag: the cache tag that every change of the list touches.
            load: a function that returns the rows of the list, filtered but not ordered.
            order: names of the fields to order by (see `keyset_page`).
            cursor: a cursor from another page of the list; "" for the first page.
            limit: maximum number of rows on the page.
            fresh: skip the local cache.
            filters: all values that the result of `load` depends on, which become part of the cache key.

        Raises:
            InvalidCursor: the cursor was not created for this list.
        """

        def load_page() -> Page[Row]:
            rows = load()
            rows = rows if self._binding is None else rows.using(self._binding.alias)  # as `primary` does
            return keyset_page(rows, order, cursor=cursor, limit=limit)

        return self.fetch_list(tag, load_page, *order, cursor, limit, *filters, *filters.values(), fresh=fresh)


if TYPE_CHECKING:

    class TableManager(_PageManager[Row]):
        """Declares `TableManager` for mypy, which does not understand `from_queryset` of a generic class."""

        def fast_bulk_create(self, rows: Sequence[Row]) -> None:
            """See `BulkQuerySet`."""

        def fast_bulk_update(self, rows: Sequence[Row], fields: Collection[str]) -> None:
            """See `BulkQuerySet`."""

        def fast_bulk_delete(self, rows: Sequence[Row]) -> None:
            """See `BulkQuerySet`."""

else:

    class TableManager(_PageManager.from_queryset(BulkQuerySet)):
        """The manager of a cached model: cached reads, keyset pages, fast bulk writes."""

        def __class_getitem__(cls, _row: object) -> type:
            return cls
