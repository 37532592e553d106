"""The manager through which rows are read: `fetch` may be answered from a cache, `get` is always the database's.

Everything that reads single rows, sets of rows or pages of a list goes through the three methods here.
"""

from collections.abc import Iterable, Sequence
from typing import TypeVar

from django.db import models

from cachelayer.pages import Page, keyset_page

Row = TypeVar("Row", bound=models.Model)

GREATEST_ID = 2**63 - 1  # of a BigAutoField; `get` knows that there is nothing beyond it, `in_bulk` does not


class FetchManager(models.Manager[Row]):
    """A manager with reads that say at the call site that they may be answered from a cache."""

    def fetch(self, pk: int) -> Row:
        """Return the row.

        Raises:
            Model.DoesNotExist: there is none.
        """
        return self.get(pk=pk)

    def fetch_many(self, pks: Iterable[int]) -> dict[int, Row]:
        """Return the rows that exist, by primary key, in the order asked for."""
        wanted = list(dict.fromkeys(pks))
        found = self.in_bulk([pk for pk in wanted if pk <= GREATEST_ID])
        return {pk: found[pk] for pk in wanted if pk in found}

    def fetch_page(self, queryset: models.QuerySet[Row], order: Sequence[str], *, cursor: str, limit: int) -> Page[Row]:
        """Return one page of `queryset` in `order` (see `pages.keyset_page` for both, and for the error raised)."""
        return keyset_page(queryset, order, cursor=cursor, limit=limit)
