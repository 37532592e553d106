"""Pages of large rows; `test_keyset.py` tests cursors, `tests/conversations/api/test_bounds.py` the answers."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from cachelayer import Page
from conversations.db.keyset import keyset_page
from conversations.db.page_bytes import MAX_PAGE_BYTES
from conversations.db.parts import Parts
from conversations.models import Message
from tests.conversations.rows import a_group, a_message, an_instance

pytestmark = pytest.mark.django_db

LATEST = ("-timestamp", "-key_id", "-id")
KB = 1024
# Kilobytes of the texts of a thread, oldest first.
SIZES = [0, 100, 1, 1, 1, 3, 0, 0, 2, 2, 5, 1]


@pytest.fixture(params=["one part", "three parts"])
def rows(request: pytest.FixtureRequest) -> Any:
    chats = [a_group(an_instance()) for _ in range(1 if request.param == "one part" else 3)]
    for number, size in enumerate(SIZES):
        a_message(chats[number % len(chats)], text="x" * size * KB)
    rows, pks = Message.objects.all(), [chat.pk for chat in chats]
    return rows.filter(conversation=pks[0]) if len(pks) == 1 else Parts(rows, "conversation", pks)


def pages(rows: Any, max_bytes: int = MAX_PAGE_BYTES) -> list[Page[Message]]:
    found = [keyset_page(rows, LATEST, limit=5, max_bytes=max_bytes)]
    while found[-1].next_cursor:
        found.append(keyset_page(rows, LATEST, limit=5, cursor=found[-1].next_cursor, max_bytes=max_bytes))
    return found


def sizes(page: Page[Message]) -> list[int]:
    return [len(row.text) // KB for row in page.rows]


def test_a_page_ends_with_the_row_that_reaches_the_limit(rows: Any) -> None:
    found = [sizes(page) for page in pages(rows, 4 * KB)]
    assert found == [[1, 5], [2, 2], [0, 0, 3, 1], [1, 1, 100], [0]]


def test_walking_back_visits_the_same_rows(rows: Any) -> None:
    page = pages(rows, 4 * KB)[-1]
    found = sizes(page)
    while (page := keyset_page(rows, LATEST, limit=5, cursor=page.previous_cursor, max_bytes=4 * KB)).rows:
        assert page.next_cursor
        found = [*sizes(page), *found]
    assert found == SIZES[::-1]


def test_small_rows_fill_the_page(rows: Any) -> None:
    assert [len(page.rows) for page in pages(rows)] == [5, 5, 2]


def test_values_of_json_count_too() -> None:
    chat = a_group(an_instance())
    for number in range(6):
        a_message(chat, details={str(n): str(n * 7919 + number) for n in range(1000)})
    rows = Message.objects.filter(conversation=chat)
    assert 1 < len(keyset_page(rows, LATEST, limit=6, max_bytes=40 * KB).rows) < 6


def test_a_page_of_large_rows_is_one_query(rows: Any) -> None:
    with CaptureQueriesContext(connection) as queries:
        keyset_page(rows, LATEST, limit=5, max_bytes=4 * KB)
    assert len(queries) == 1
