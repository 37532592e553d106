import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from conversations.admin.paginator import BoundedPaginator, count_up_to
from conversations.models import Instance
from tests.conversations.admin.conftest import Populate


class ShortPaginator(BoundedPaginator):
    max_rows = 10


def instance_paginator(per_page: int = 4) -> BoundedPaginator:
    return ShortPaginator(Instance.objects.order_by("name", "id"), per_page)


@pytest.mark.parametrize(("rows", "count"), [(0, (0, False)), (10, (10, False)), (11, (10, True))])
def test_rows_are_counted_up_to_the_limit(populate: Populate, rows: int, count: tuple[int, bool]) -> None:
    populate(rows)
    paginator = instance_paginator()
    assert (paginator.count, paginator.has_more) == count


def test_counting_reads_at_most_one_row_beyond_the_limit(populate: Populate) -> None:
    populate(12)
    with CaptureQueriesContext(connection) as queries:
        assert count_up_to(Instance.objects.order_by("name"), 10) == (10, True)
    (query,) = queries
    assert "LIMIT 11" in query["sql"]
    assert "ORDER BY" not in query["sql"]


@pytest.mark.parametrize(("requested", "selected"), [(-5, 1), (0, 1), (2, 2), (3, 3), (4, 3), (10**30, 3)])
def test_a_page_number_out_of_range_selects_the_nearest_page(populate: Populate, requested: int, selected: int) -> None:
    populate(12)
    page = instance_paginator().page(requested)
    assert page.number == selected
    assert page[0].name == f"loja-{(selected - 1) * 4:03}"


def test_the_last_page_ends_at_the_limit(populate: Populate) -> None:
    populate(12)
    assert [row.name for row in instance_paginator().page(3)] == ["loja-008", "loja-009"]
