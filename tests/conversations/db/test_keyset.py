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
from conversations.db.parts import Parts
from conversations.models import Contact, Conversation, Instance, Message
from tests.conversations.rows import NOON, a_group, an_instance
from tests.effort import effort

pytestmark = pytest.mark.django_db

LATEST = ("-timestamp", "-key_id", "-id")
ORDERS = (LATEST, ("timestamp", "-kind", "id"), ("kind", "id"), ("-id",))

numbers = itertools.count()
# All examples of hypothesis can share one transaction, because each example creates its own conversation.
few_examples = settings(
    max_examples=effort(20, 100), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
many_examples = settings(few_examples, max_examples=effort(60, 500))

# Up to twelve rows share two timestamps and two kinds, so most rows have the same sort key as another row.
Rows = QuerySet[Message] | Parts[Message]
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
    rows: Rows, order: Sequence[str], limit: int, follow: Callable[[Page[Message]], str], cursor: str = ""
) -> Iterator[Page[Message]]:
    """Yield pages of a list from `cursor` on, until `follow` returns no cursor, or the cursor of an empty page."""
    page = keyset_page(rows, order, cursor=cursor, limit=limit)
    yield page
    while cursor := follow(page):
        page = keyset_page(rows, order, cursor=cursor, limit=limit)
        if not page.rows:
            return
        yield page


def next_cursor(page: Page[Message]) -> str:
    return page.next_cursor


def previous_cursor(page: Page[Message]) -> str:
    return page.previous_cursor


def walk_all(
    rows: Rows, order: Sequence[str], limit: int, follow: Callable[[Page[Message]], str]
) -> Iterator[Page[Message]]:
    """Yield all pages of a list, from the first page forward or from the last page back."""
    if follow is next_cursor:
        yield from walk(rows, order, limit, next_cursor)
        return
    *_, last = walk(rows, order, limit, next_cursor)
    yield last
    if last.previous_cursor:
        yield from walk(rows, order, limit, previous_cursor, last.previous_cursor)


@few_examples
@given(tied_rows, orders, limits)
def test_walking_forward_visits_each_row_once_in_order(rows: Any, order: Any, limit: int) -> None:
    _, queryset = messages_of(rows)
    pages = list(walk(queryset, order, limit, next_cursor))
    assert [row for page in pages for row in page.rows] == list(queryset.order_by(*order))
    assert all(len(page.rows) == limit for page in pages[:-1])


@few_examples
@given(tied_rows, orders, limits)
def test_walking_back_from_the_last_page_visits_the_same_rows(rows: Any, order: Any, limit: int) -> None:
    _, queryset = messages_of(rows)
    pages = list(walk_all(queryset, order, limit, previous_cursor))
    assert [row for page in reversed(pages) for row in page.rows] == list(queryset.order_by(*order))


@few_examples
@given(tied_rows, orders, limits)
def test_the_previous_page_of_the_next_page_is_the_same_page(rows: Any, order: Any, limit: int) -> None:
    _, queryset = messages_of(rows)
    for page, next_page in itertools.pairwise(walk(queryset, order, limit, next_cursor)):
        assert keyset_page(queryset, order, cursor=next_page.previous_cursor, limit=limit) == page


@few_examples
@given(
    tied_rows,
    orders,
    limits,
    st.lists(st.lists(ties, max_size=3), min_size=1, max_size=6),
    st.sampled_from([next_cursor, previous_cursor]),
)
def test_concurrent_inserts_and_deletes_neither_hide_nor_repeat_other_rows(
    rows: Any, order: Any, limit: int, arrivals: Any, follow: Any
) -> None:
    chat, queryset = messages_of(rows)
    initial, deleted = set(queryset), set()
    visited: list[Message] = []
    for page, arriving in zip(walk_all(queryset, order, limit, follow), itertools.cycle(arrivals), strict=False):
        visited = [*visited, *page.rows] if follow is next_cursor else [*page.rows, *visited]
        add(chat, arriving if len(visited) < 24 else [])
        if page.rows:  # delete the row from which the cursor was made
            boundary = page.rows[-1 if follow is next_cursor else 0]
            Message.objects.filter(pk=boundary.pk).delete()
            deleted.add(boundary)
    assert len(set(visited)) == len(visited)
    assert [row for row in visited if row not in deleted] == [
        row for row in queryset.order_by(*order) if row in visited
    ]
    assert initial <= set(visited)


@few_examples
@given(st.lists(tied_rows, min_size=2, max_size=4), orders, limits)
def test_the_parts_of_a_list_are_merged_in_order(parts: Any, order: Any, limit: int) -> None:
    chats = [messages_of(rows)[0].pk for rows in parts]
    expected = list(Message.objects.filter(conversation__in=chats).order_by(*order))
    for follow in (next_cursor, previous_cursor):
        pages = [
            page.rows for page in walk_all(Parts(Message.objects.all(), "conversation", chats), order, limit, follow)
        ]
        assert [row for rows in (pages if follow is next_cursor else pages[::-1]) for row in rows] == expected


def test_rows_that_come_later_are_on_the_previous_page_of_the_first_page() -> None:
    chat, queryset = messages_of([(0, "text")])
    first = keyset_page(queryset, LATEST, limit=2)
    nothing = keyset_page(queryset, LATEST, cursor=first.previous_cursor, limit=2)
    assert (nothing.rows, nothing.next_cursor, nothing.previous_cursor) == ([], "", first.previous_cursor)
    add(chat, [(1, "text"), (2, "text"), (3, "text")])
    newest_first = list(queryset.order_by(*LATEST))
    later = keyset_page(queryset, LATEST, cursor=nothing.previous_cursor, limit=2)
    assert later.rows == newest_first[1:3]
    assert keyset_page(queryset, LATEST, cursor=later.previous_cursor, limit=2).rows == newest_first[:1]


def encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def encode_cursor(values: Any) -> str:
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
    return encode(text.encode("utf-8", "surrogatepass"))


def decode_cursor(cursor: str) -> list[Any]:
    values: list[Any] = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    return values


@pytest.fixture
def valid_cursor() -> str:
    """Return a valid cursor, which points to the second page of a list of messages."""
    _, queryset = messages_of([(0, "text")] * 3)
    return keyset_page(queryset, LATEST, limit=1).next_cursor


def is_rejected(cursor: str, order: Sequence[str] = LATEST) -> bool:
    try:
        keyset_page(Message.objects.all(), order, cursor=cursor, limit=1)
    except InvalidCursor:
        return True
    return False


def test_a_cursor_can_be_decoded_and_encoded_again(valid_cursor: str) -> None:
    assert encode_cursor(decode_cursor(valid_cursor)) == valid_cursor
    assert not is_rejected(valid_cursor)


@pytest.mark.parametrize(
    "order", [("-timestamp", "-id"), ("timestamp", "-key_id", "-id"), ("-edited_at", "-text", "-id")]
)
def test_a_cursor_of_another_order_is_rejected(valid_cursor: str, order: Sequence[str]) -> None:
    assert is_rejected(valid_cursor, order)


def test_a_cursor_of_another_model_is_rejected() -> None:
    for _ in range(2):
        an_instance()
    cursor = keyset_page(Instance.objects.all(), ("name", "id"), limit=1).next_cursor
    with pytest.raises(InvalidCursor):
        keyset_page(Contact.objects.all(), ("name", "id"), cursor=cursor, limit=1)


@many_examples
@given(st.text(min_size=1) | st.binary(min_size=1).map(encode))
def test_random_text_is_rejected(cursor: str) -> None:
    assert is_rejected(cursor)


WRONG_TIMES = ["", "noon", "2026-03-01", "2026-03-01T12:00:00", "2026-03-01T12:00:00Z", "0001-01-01T00:00:00+14:00"]
WRONG_TEXTS = ["a\0b", "\ud800", "x" * 256, 7, ["x"]]
WRONG_IDS = [10**30, -(10**30), 1.0, 1e400, "1", True, [1]]
WRONG = (
    [(2, value) for value in WRONG_TIMES] + [(3, value) for value in WRONG_TEXTS] + [(4, value) for value in WRONG_IDS]
)


@pytest.mark.parametrize("position", range(5))
@pytest.mark.parametrize("value", [None, {}, [], float("nan"), 0.5])
def test_a_value_of_a_wrong_type_is_rejected_in_every_position(valid_cursor: str, position: int, value: Any) -> None:
    values = decode_cursor(valid_cursor)
    values[position] = value
    assert is_rejected(encode_cursor(values))


@pytest.mark.parametrize(("position", "value"), WRONG)
def test_a_value_that_the_field_cannot_hold_is_rejected(valid_cursor: str, position: int, value: Any) -> None:
    values = decode_cursor(valid_cursor)
    values[position] = value
    assert is_rejected(encode_cursor(values))


@pytest.mark.parametrize(
    "cursor", ["A" * 1_000_000, encode_cursor(["x" * 10_000]), encode(b"[" * 3000), encode(b"9" * 3000)]
)
def test_a_huge_cursor_is_rejected(cursor: str) -> None:
    assert is_rejected(cursor)


@pytest.mark.parametrize("values", ["x", [], ["next"], {"next": 1}, 7, None])
def test_a_cursor_of_another_shape_is_rejected(values: Any) -> None:
    assert is_rejected(encode_cursor(values))


def test_padding_and_line_ends_make_a_cursor_invalid(valid_cursor: str) -> None:
    assert is_rejected(valid_cursor + "=")
    assert is_rejected(valid_cursor + "\n")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.datetimes().map(dt.datetime.isoformat),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


@many_examples
@given(st.lists(json_values, max_size=6), st.integers(0, 5))
@example(["next", "2026-03-01T12:00:00+00:00", "key", 10**19], 1)
def test_any_cursor_is_either_rejected_or_returns_a_page(values: list[Any], kept: int) -> None:
    """Build a cursor from valid and arbitrary values; only `InvalidCursor` may be raised."""
    _, queryset = messages_of([(0, "text")] * 2)
    valid_values = decode_cursor(keyset_page(queryset, LATEST, limit=1).next_cursor)
    is_rejected(encode_cursor([*valid_values[:kept], *values]))


def test_the_smallest_and_largest_values_of_the_fields_are_valid(valid_cursor: str) -> None:
    values = decode_cursor(valid_cursor)
    for time, key, number in (
        ("0001-01-01T00:00:00+00:00", "", -(2**63)),
        ("9999-12-31T23:59:59+00:00", "é" * 255, 2**63 - 1),
    ):
        assert not is_rejected(encode_cursor([*values[:2], time, key, number]))
