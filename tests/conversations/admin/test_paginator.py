import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from conversations.admin.paginator import BoundedPaginator, count_within
from conversations.models import Instance
from tests.conversations.admin.conftest import Populate


class Short(BoundedPaginator):
    bound = 10


def pages(per_page: int = 4) -> BoundedPaginator:
    return Short(Instance.objects.order_by("name", "id"), per_page)


@pytest.mark.parametrize(("rows", "counted"), [(0, (0, False)), (10, (10, False)), (11, (10, True))])
def test_counts_up_to_its_bound_and_says_when_there_is_more(
    populate: Populate, rows: int, counted: tuple[int, bool]
) -> None:
    populate(rows)
    paginator = pages()
    assert (paginator.count, paginator.is_more) == counted


def test_counting_reads_no_more_rows_than_the_bound(populate: Populate) -> None:
    populate(12)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert count_within(Instance.objects.order_by("name"), 10) == (10, True)
    (query,) = queries
    assert "LIMIT 11" in query["sql"]
    assert "ORDER BY" not in query["sql"]


@pytest.mark.parametrize(("asked", "shown"), [(-5, 1), (0, 1), (2, 2), (3, 3), (4, 3), (10**30, 3)])
def test_a_page_number_beyond_either_end_is_that_end(populate: Populate, asked: int, shown: int) -> None:
    populate(12)
    page = pages().page(asked)
    assert page.number == shown
    assert page[0].name == f"loja-{(shown - 1) * 4:03}"


def test_the_last_page_ends_at_the_bound(populate: Populate) -> None:
    populate(12)
    assert [row.name for row in pages().page(3)] == ["loja-008", "loja-009"]
