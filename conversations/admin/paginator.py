"""Page numbers without counting a large table: rows are counted up to a bound, and beyond it there is only "more than".

A page costs at most `BOUND` index entries; who looks for something further down searches or filters.
"""

from typing import Any

from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.utils.functional import cached_property

BOUND = 5000


def count_within(queryset: QuerySet[Any], bound: int) -> tuple[int, bool]:
    """Return how many rows there are, `bound` at most, and whether there are more than that."""
    seen = queryset.order_by().values("pk")[: bound + 1].count()
    return min(seen, bound), seen > bound


class BoundedPaginator(Paginator):  # type: ignore[type-arg] # Django's class takes no argument at run time
    """Pages of the first `bound` rows. A page number beyond either end means that end: lists change while read."""

    bound = BOUND

    @cached_property
    def count(self) -> int:
        """How many rows there are, `bound` at most."""
        return self._counted[0]

    @property
    def is_more(self) -> bool:
        """Whether there are more rows than `count`."""
        return self._counted[1]

    def validate_number(self, number: float | str) -> int:
        """Return the number of the page nearest to `number`."""
        return min(max(int(number), 1), self.num_pages)

    @cached_property
    def _counted(self) -> tuple[int, bool]:
        queryset: Any = self.object_list
        return count_within(queryset, self.bound)
