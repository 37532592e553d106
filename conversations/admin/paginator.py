"""Pagination without counting all rows of a large table. Rows are counted only up to `MAX_ROWS`.

A page of an admin list reads at most `MAX_ROWS` index entries. To reach rows after the first `MAX_ROWS`, users must
search or filter.
"""

from typing import Any

from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.utils.functional import cached_property

MAX_ROWS = 5000


def count_up_to(queryset: QuerySet[Any], limit: int) -> tuple[int, bool]:
    """Return the number of rows, but at most `limit`, and whether there are more rows than `limit`."""
    count = queryset.order_by().values("pk")[: limit + 1].count()
    return min(count, limit), count > limit


class BoundedPaginator(Paginator):  # type: ignore[type-arg] # Django's class accepts no type argument at run time
    """Paginates only the first `max_rows` rows of a list.

    A page number that is out of range selects the nearest page, because a list may become shorter between requests.
    """

    max_rows = MAX_ROWS

    @cached_property
    def count(self) -> int:
        """The number of rows, at most `max_rows`."""
        return self._bounded_count[0]

    @property
    def has_more(self) -> bool:
        """Whether the list has more rows than the paginator counts."""
        return self._bounded_count[1]

    def validate_number(self, number: float | str) -> int:
        """Return the existing page number that is nearest to `number`."""
        return min(max(int(number), 1), self.num_pages)

    @cached_property
    def _bounded_count(self) -> tuple[int, bool]:
        queryset: Any = self.object_list
        return count_up_to(queryset, self.max_rows)
