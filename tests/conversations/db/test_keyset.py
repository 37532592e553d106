import base64
import datetime as dt
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from django.db.models import QuerySet
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cachelayer import Page
from conversations.db.keyset import InvalidCursor, keyset_page
from conversations.models import Contact, Conversation, Instance, Message
from tests.conversations.rows import NOON, a_group, an_instance

pytestmark = pytest.mark.django_db

LATEST = ("-timestamp", "-key_id", "-id")
ORDERS = (LATEST, ("timestamp", "-kind", "id"), ("kind", "id"), ("-id",))

numbers = itertools.count()
# Each example has a conversation of its own, so that one transaction serves them all.
few = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
many = settings(few, max_examples=200)

# Two seconds and two kinds for up to a dozen rows: nearly every row ties with another one.
ties = st.tuples(st.integers(0, 1), st.sampled_from(["text", "image"]))
tied_rows = st.lists(ties, max_size=12)
orders = st.sampled_from(ORDERS)
limits = st.integers(1, 5)


def add(chat: Conversation, rows: Sequence[tuple[int, str]]) -> None:
    Message.objects.bulk_create(
        Message(
            instance_id=chat.instance_id,
            conversation=chat,
            key_id=f"é{next(numbers) % 7}-{next(numbers)}",
            from_me=False,
            kind=kind,
            timestamp=NOON + dt.timedelta(seconds=second, microseconds=1),
        )
        for second, kind in rows
    )


def messages_of(rows: Sequence[tuple[int, str]]) -> tuple[Conversation, QuerySet[Message]]:
    chat = a_group(an_instance())
    add(chat, rows)
    return chat, Message.objects.filter(conversation=chat)


def walk(
    rows: QuerySet[Message], order: Sequence[str], limit: int, side: Callable[[Page[Message]], str], cursor: str = ""
) -> Iterator[Page[Message]]:
    """Turn pages until there is none on that side."""
    while True:
        page = keyset_page(rows, order, cursor=cursor, limit=limit)
        yield page
        cursor = side(page)
        if not cursor:
            return


def following(page: Page[Message]) -> str:
    return page.next_cursor


def preceding(page: Page[Message]) -> str:
    return page.previous_cursor


def from_the_end(
    rows: QuerySet[Message], order: Sequence[str], limit: int, side: Callable[[Page[Message]], str]
) -> Iterator[Page[Message]]:
    """Turn pages from the first one forward, or from the last one back."""
    if side is following:
        yield from walk(rows, order, limit, following)
        return
    *_, last = walk(rows, order, limit, following)
    yield last
    if last.previous_cursor:
        yield from walk(rows, order, limit, preceding, last.previous_cursor)


@few
@given(tied_rows, orders, limits)
def test_walking_forward_visits_each_row_once_in_order(rows: Any, order: Any, limit: int) -> None:
    _, found = messages_of(rows)
    pages = list(walk(found, order, limit, following))
    assert [row for page in pages for row in page.rows] == list(found.order_by(*order))
    assert all(len(page.rows) == limit for page in pages[:-1])
    assert not pages[0].previous_cursor


@few
@given(tied_rows, orders, limits)
def test_walking_back_from_the_end_shows_the_same_rows_in_the_same_order(rows: Any, order: Any, limit: int) -> None:
    _, found = messages_of(rows)
    pages = list(from_the_end(found, order, limit, preceding))
    assert [row for page in reversed(pages) for row in page.rows] == list(found.order_by(*order))
    assert not pages[-1].previous_cursor


@few
@given(tied_rows, orders, limits)
def test_a_page_forward_and_back_is_the_same_page(rows: Any, order: Any, limit: int) -> None:
    _, found = messages_of(rows)
    for one, other in itertools.pairwise(walk(found, order, limit, following)):
        assert keyset_page(found, order, cursor=other.previous_cursor, limit=limit) == one


@few
@given(
    tied_rows,
    orders,
    limits,
    st.lists(st.lists(ties, max_size=3), min_size=1, max_size=6),
    st.sampled_from([following, preceding]),
)
def test_rows_that_come_and_go_meanwhile_hide_and_repeat_no_others(
    rows: Any, order: Any, limit: int, arrivals: Any, side: Any
) -> None:
    chat, found = messages_of(rows)
    at_first, gone = set(found), set()
    visited: list[Message] = []
    for page, arriving in zip(from_the_end(found, order, limit, side), itertools.cycle(arrivals), strict=False):
        visited = [*visited, *page.rows] if side is following else [*page.rows, *visited]
        add(chat, arriving if len(visited) < 24 else [])
        if page.rows:  # even the row that the next page starts at
            edge = page.rows[-1 if side is following else 0]
            Message.objects.filter(pk=edge.pk).delete()
            gone.add(edge)
    assert len(set(visited)) == len(visited)
    assert [row for row in visited if row not in gone] == [row for row in found.order_by(*order) if row in visited]
    assert at_first <= set(visited)


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def cursor_of(values: Any) -> str:
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
    return encoded(text.encode("utf-8", "surrogatepass"))


def values_of(cursor: str) -> list[Any]:
    values: list[Any] = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    return values


@pytest.fixture
def genuine() -> str:
    """The cursor of a second page of messages."""
    _, found = messages_of([(0, "text")] * 3)
    return keyset_page(found, LATEST, limit=1).next_cursor


def refused(cursor: str, order: Sequence[str] = LATEST) -> bool:
    try:
        keyset_page(Message.objects.all(), order, cursor=cursor, limit=1)
    except InvalidCursor:
        return True
    return False


def test_a_cursor_says_what_it_is_of_and_can_be_read_back(genuine: str) -> None:
    assert cursor_of(values_of(genuine)) == genuine
    assert not refused(genuine)


@pytest.mark.parametrize(
    "order", [("-timestamp", "-id"), ("timestamp", "-key_id", "-id"), ("-edited_at", "-text", "-id")]
)
def test_a_cursor_of_another_order_is_refused(genuine: str, order: Sequence[str]) -> None:
    assert refused(genuine, order)


def test_a_cursor_of_another_model_is_refused() -> None:
    for _ in range(2):
        an_instance()
    cursor = keyset_page(Instance.objects.all(), ("name", "id"), limit=1).next_cursor
    with pytest.raises(InvalidCursor):
        keyset_page(Contact.objects.all(), ("name", "id"), cursor=cursor, limit=1)


@many
@given(st.text(min_size=1) | st.binary(min_size=1).map(encoded))
def test_random_text_is_refused(cursor: str) -> None:
    assert refused(cursor)


WRONG_TIMES = ["", "noon", "2026-03-01", "2026-03-01T12:00:00", "2026-03-01T12:00:00Z", "0001-01-01T00:00:00+14:00"]
WRONG_TEXTS = ["a\0b", "\ud800", "x" * 256, 7, ["x"]]
WRONG_IDS = [10**30, -(10**30), 1.0, 1e400, "1", True, [1]]
WRONG = (
    [(2, value) for value in WRONG_TIMES] + [(3, value) for value in WRONG_TEXTS] + [(4, value) for value in WRONG_IDS]
)


@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize("value", [None, {}, [], float("nan"), 0.5])
def test_a_value_that_no_cursor_has_is_refused_in_every_place(genuine: str, place: int, value: Any) -> None:
    values = values_of(genuine)
    values[place] = value
    assert refused(cursor_of(values))


@pytest.mark.parametrize(("place", "value"), WRONG)
def test_a_value_that_the_field_cannot_have_is_refused(genuine: str, place: int, value: Any) -> None:
    values = values_of(genuine)
    values[place] = value
    assert refused(cursor_of(values))


@pytest.mark.parametrize(
    "cursor", ["A" * 1_000_000, cursor_of(["x" * 10_000]), encoded(b"[" * 3000), encoded(b"9" * 3000)]
)
def test_a_huge_cursor_is_refused(cursor: str) -> None:
    assert refused(cursor)


@pytest.mark.parametrize("values", ["x", [], ["next"], {"next": 1}, 7, None])
def test_a_cursor_of_another_shape_is_refused(values: Any) -> None:
    assert refused(cursor_of(values))


def test_padding_and_line_ends_do_not_make_a_second_form_of_a_cursor(genuine: str) -> None:
    assert refused(genuine + "=")
    assert refused(genuine + "\n")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.datetimes().map(dt.datetime.isoformat),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


@many
@given(st.lists(json_values, max_size=6), st.integers(0, 5))
@example(["next", "2026-03-01T12:00:00+00:00", "key", 10**19], 1)
def test_whatever_a_cursor_says_it_is_refused_or_serves_a_page(values: list[Any], kept: int) -> None:
    """Whatever the mixture of a genuine cursor's values and any others, there is no third outcome."""
    _, found = messages_of([(0, "text")] * 2)
    genuine_values = values_of(keyset_page(found, LATEST, limit=1).next_cursor)
    refused(cursor_of([*genuine_values[:kept], *values]))


def test_the_edges_of_what_fields_hold_serve_a_page(genuine: str) -> None:
    values = values_of(genuine)
    for time, key, number in (
        ("0001-01-01T00:00:00+00:00", "", -(2**63)),
        ("9999-12-31T23:59:59+00:00", "é" * 255, 2**63 - 1),
    ):
        assert not refused(cursor_of([*values[:2], time, key, number]))
