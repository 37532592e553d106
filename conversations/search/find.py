"""Searches for contacts, conversations and messages, at a cost that hardly depends on the number of rows.

The index returns rows in no order, and is slow for a frequent word. So a search first counts its words in a few rows.
If it is frequent, it reads rows in the order of the list until enough match. Else it reads the matching rows from the
index and sorts them. Of the words of messages, the rarest one alone is looked up, and the others are checked in the
rows. If a bucket has too many rows with it, all words are looked up. If more rows match than expected, the search tries
the steps of `STEPS` in turn.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connections
from django.db.models import BooleanField, Case, Q, QuerySet, Value, When
from django.db.models.functions import Left

from cachelayer import Page, cache
from conversations.db import page_bytes
from conversations.db.keyset import after, cursor_at
from conversations.db.page_bytes import MAX_PAGE_BYTES
from conversations.models import Contact, Conversation, Message
from conversations.models.conversation import LATEST_FIRST as LATEST_CONVERSATION_FIRST
from conversations.models.instance_scoped import Instances, InstanceScopedManager, instance_pks, scope
from conversations.models.message import LATEST_FIRST as LATEST_MESSAGE_FIRST
from conversations.search.buckets import bucket, span
from conversations.search.folding import fold
from conversations.search.lexemes import CONTACTS, GROUPS, MESSAGES, Index, Matches
from conversations.search.query import Alternatives, Query

SAMPLE = 200  # rows that tell how frequent a search is
SAMPLE_CHARS = 1_000  # of each: folding the longest texts whole would take a second, in which other threads wait
FREQUENT = 5  # matching rows among these with which reading in order is expected to find a page in the first step
# For each step: the number of matching rows that are sorted, and the number of rows that are read in order.
STEPS = ((2_000, 5_000), (10_000, 10_000))
CANDIDATES = 2_000  # messages with the rarest word that are checked
GROWTH = 4  # how many times more buckets of messages a search reads next
ALL = 2**31  # a limit that limits nothing

# Contacts are not found in the order of their names: whoever searches for a frequent name would find the matching rows
# close together in that order, often far from its start.
NEWEST_FIRST = ("-id",)

# Returns the condition for matching rows; the argument tells whether the condition may use the index.
Condition = Callable[..., Any]


# One page as the cache keeps it: the primary keys, and the cursor of the next page. The cache encodes no named tuples.
Found = tuple[list[int], str]


# --- pages ------------------------------------------------------------------------------------------------------------
def find_contacts(query: Query, instances: Instances, *, cursor: str = "", limit: int) -> Page[Contact]:
    """Return a page of the contacts with a matching name or number, the newest first.

    Args:
        query: what to search for.
        instances: one instance, the primary keys of several, or None for all instances.
        cursor: the next cursor of another page; "" for the first page.
        limit: maximum number of rows on the page.

    Raises:
        InvalidCursor: the cursor was not created for this list.
    """
    return _page(contact_pks, Contact.objects, NEWEST_FIRST, query, instances, cursor, limit)


def find_conversations(query: Query, instances: Instances, *, cursor: str = "", limit: int) -> Page[Conversation]:
    """Return a page of the conversations with a matching contact or group name, the latest message first.

    Conversations that were deleted on the phone are left out. Arguments and errors are those of `find_contacts`.
    """
    order = LATEST_CONVERSATION_FIRST
    return _page(conversation_pks, Conversation.objects, order, query, instances, cursor, limit, Contact.objects)


def find_messages(query: Query, instances: Instances, *, cursor: str = "", limit: int) -> Page[Message]:
    """Return a page of the messages with a matching text, latest first, without deleted messages.

    Arguments and errors are those of `find_contacts`.
    """
    return _page(message_pks, Message.objects, LATEST_MESSAGE_FIRST, query, instances, cursor, limit)


def _page(  # noqa: PLR0913, PLR0917 - all arguments together identify a page
    search: Callable[..., list[int]],
    manager: InstanceScopedManager[Any],
    order: Sequence[str],
    query: Query,
    instances: Instances,
    cursor: str,
    limit: int,
    *others: InstanceScopedManager[Any],
) -> Page[Any]:
    """Return a page of matching rows, from the cache if possible; a write to a list of `others` ends it too.

    Nothing matches an empty query.

    The key of the cache entry is hashed, because it contains what was searched for.
    """
    if not query:
        return Page([])
    identity = (query, instance_pks(instances), cursor, limit)
    digest = blake2b(repr(identity).encode(), digest_size=16).hexdigest()

    def load() -> Found:
        pks = search(query, instances, cursor=cursor, limit=limit + 1)
        shown = _on_one_page(manager.filter(pk__in=pks[:limit]), order)
        if len(shown) == len(pks):
            return pks, ""
        return shown, cursor_at(manager.get(pk=shown[-1]), order, "next") if shown else ""

    tags = tuple(one.list_tag(instances) for one in (manager, *others))
    namespace = tags[0].partition(":")[0]
    pks, next_cursor = cache.fetch(f"{namespace}:search:{digest}", load, tags=tags)
    return Page(list(manager.fetch_many(pks).values()), next_cursor=next_cursor)


def _on_one_page(rows: QuerySet[Any], order: Sequence[str]) -> list[int]:
    """Return the primary keys of rows in order, as many as a page may hold (see `page_bytes`)."""
    return [pk for (pk,) in _run(f"SELECT id FROM ({page_bytes.cut('{}', rows, order, MAX_PAGE_BYTES)}) AS page", rows)]  # noqa: S608 - names of columns


# --- contacts ---------------------------------------------------------------------------------------------------------
def contact_pks(query: Query, instances: Instances, *, cursor: str = "", limit: int) -> list[int]:
    """Return the primary keys of the first rows of `find_contacts`, read from the database."""
    shown = scope(instances) & after(Contact, NEWEST_FIRST, cursor)
    rows = _Rows(Contact.objects.all(), shown, NEWEST_FIRST, _condition(CONTACTS, query.names, instances))
    return _in_steps(rows, limit, is_frequent=_is_frequent_name(query, instances))


def _is_frequent_name(query: Query, instances: Instances) -> bool:
    """Return whether many of the newest contacts match a name.

    In few instances, no name is frequent enough: the index finds it fast, and the rows of one instance are far apart.
    """
    if Matches(CONTACTS, query.names, instance_pks(instances)).instances or len(query.names) > 1:
        return False
    names = Contact.objects.scoped_to(instances).order_by(*NEWEST_FIRST).values_list("name", "saved_name", "push_name")
    return _Sample(query.names, [" ".join(row) for row in names[:SAMPLE]]).is_frequent


# --- conversations ----------------------------------------------------------------------------------------------------
def conversation_pks(query: Query, instances: Instances, *, cursor: str = "", limit: int) -> list[int]:
    """Return the primary keys of the first rows of `find_conversations`, read from the database."""
    order = LATEST_CONVERSATION_FIRST
    shown = scope(instances) & after(Conversation, order, cursor) & Q(is_deleted=False)
    groups = _Rows(
        Conversation.objects.filter(GROUPS.condition), shown, order, _condition(GROUPS, query.names, instances)
    )
    contacts = _condition(CONTACTS, query.names, instances)
    direct = _Rows(
        Conversation.objects.filter(contact__isnull=False), shown, order, partial(contacts, path="contact__")
    )
    of_contacts = Contact.objects.filter(contacts())

    def sort_few(candidates: int) -> list[int] | None:
        pks = list(of_contacts.values_list("pk", flat=True)[: candidates + 1])
        if len(pks) > candidates:
            return None
        found = direct.every.filter(shown, contact__id__any_of=pks).order_by(*order)
        return list(found.values_list("pk", flat=True)[:limit])

    is_frequent = _is_frequent_name(query, instances)
    found = [
        *_in_steps(groups, limit, is_frequent=is_frequent),
        *_in_steps(direct, limit, sort_few, is_frequent=is_frequent),
    ]
    return list(Conversation.objects.filter(pk__in=found).order_by(*order).values_list("pk", flat=True)[:limit])


# --- messages ---------------------------------------------------------------------------------------------------------
def message_pks(query: Query, instances: Instances, *, cursor: str = "", limit: int) -> list[int]:
    """Return the primary keys of the first rows of `find_messages`, read from the database."""
    order = LATEST_MESSAGE_FIRST
    scoped = Message.objects.scoped_to(instances)
    shown = scope(instances) & after(Message, order, cursor) & Q(is_deleted=False)
    times = scoped.filter(after(Message, order, cursor)).order_by(*order), scoped.order_by("timestamp")
    newest, oldest = (time.values_list("timestamp", flat=True).first() for time in times)
    found: list[int] = []
    if newest is None or oldest is None:
        return found
    every = Message.objects.filter(MESSAGES.condition)
    texts = scoped.filter(after(Message, order, cursor), MESSAGES.condition).order_by(*order)
    sample = _Sample(query.texts, texts.values_list(Left("text", SAMPLE_CHARS), flat=True)[:SAMPLE])
    is_one_word = sample.rarest == query.texts
    high, low = bucket(newest), bucket(oldest)
    size, most, is_rare = 1, high - low + 1, not sample.is_frequent
    while high >= low and len(found) < limit:
        missing, window = limit - len(found), range(high, max(low, high - size + 1) - 1, -1)
        start, end = span(window)
        condition = _condition(MESSAGES, query.texts, instances, window)
        rows = _Rows(every, shown & Q(timestamp__gte=start, timestamp__lt=end), order, condition)
        page, read = list[int](), 0
        if is_rare:
            index = None if is_one_word else _condition(MESSAGES, sample.rarest, instances, window)
            page, read = _read_few(rows, missing, CANDIDATES, index)
            if read > CANDIDATES and size > 1:
                size = most = max(1, size // GROWTH)
                continue
            is_rare = read <= CANDIDATES
        if is_rare:
            most = min(most, _buckets_for(CANDIDATES, size, read))
        else:
            page, most = _in_steps(rows, missing, is_frequent=sample.is_frequent or is_one_word), 1
        found += page
        high -= len(window)
        enough = 1 + size * missing * 5 // 4 // (len(page) + 1)  # with some more buckets than expected
        size = min(size * GROWTH, enough, most)
    return found


def _buckets_for(rows: int, size: int, read: int) -> int:
    """Return how many buckets probably have at most `rows` rows, if `size` buckets had `read`.

    >>> _buckets_for(2_000, size=4, read=664)
    9
    """
    return max(1, rows * size * 3 // (4 * (read + 1)))


# --- reading ----------------------------------------------------------------------------------------------------------
def _condition(
    index: Index, alternatives: Any, instances: Instances, buckets: Sequence[int] | None = None
) -> Condition:
    return partial(Matches, index, alternatives, instance_pks(instances), buckets)


@dataclass(frozen=True)
class _Rows:
    """What a search reads.

    Attributes:
        every: the rows that the index contains.
        shown: which of these rows the list contains.
        order: the order of the list.
        matches: which rows match.
    """

    every: QuerySet[Any]
    shown: Q
    order: Sequence[str]
    matches: Condition


class _Sample:
    """Tells from the texts of some rows which of the words that are searched for are frequent."""

    def __init__(self, alternatives: Alternatives, texts: Iterable[str]) -> None:
        self.rarest, self.is_frequent = alternatives, False
        if len(alternatives) > 1:  # the forms of a number
            return
        folded = [f" {fold(text)} " for text in texts]
        parts = {word: f" {word.text}" if word.is_prefix else f" {word.text} " for word in alternatives[0]}
        counts = {word: sum(part in text for text in folded) for word, part in parts.items()}
        self.rarest = ((min(counts, key=lambda word: (counts[word], -len(word.text))),),)
        self.is_frequent = sum(all(part in text for part in parts.values()) for text in folded) >= FREQUENT


def _in_steps(
    rows: _Rows,
    limit: int,
    sort_few: Callable[[int], list[int] | None] | None = None,
    *,
    is_frequent: bool,
) -> list[int]:
    """Return the primary keys of the first matching rows.

    Args:
        rows: what to read.
        limit: the maximum number of rows to return.
        sort_few: returns the first of at most some matching rows, or None if more rows match.
        is_frequent: whether many rows are expected to match.
    """
    if is_frequent and (found := _scan(rows, limit, STEPS[0][1])) is not None:
        return found
    for candidates, scanned in STEPS:
        found = sort_few(candidates) if sort_few else _sort_few(rows, limit, candidates)
        if found is None:
            found = _scan(rows, limit, scanned)
        if found is not None:
            return found
    return _sort_all(rows, limit)


def _sort_few(rows: _Rows, limit: int, candidates: int) -> list[int] | None:
    """Return the primary keys of the first matching rows; None if more than `candidates` rows match."""
    found, read = _read_few(rows, limit, candidates)
    return found if read <= candidates else None


def _read_few(rows: _Rows, limit: int, candidates: int, index: Condition | None = None) -> tuple[list[int], int]:
    """Return the primary keys of the first matching rows, and how many rows the database has read for them.

    If there are more rows than `candidates`, it has read one row more, and others may be the first ones.

    The rows are read from the index alone. In the WHERE clause, `rows.shown` would let PostgreSQL read an index of
    times too, to intersect both.

    Args:
        rows: what to read.
        limit: the maximum number of rows to return, at least 1.
        candidates: the maximum number of rows to read.
        index: a condition that all matching rows fulfil, for which the index is used; None for `rows.matches`.
    """
    shown = rows.shown & Q(rows.matches(uses_index=False)) if index else rows.shown
    read = rows.every.filter((index or rows.matches)()).annotate(is_shown=_as_column(shown))
    found = _run(
        "SELECT id, is_shown, COUNT(*) OVER () FROM ({}) AS found"  # noqa: S608 - names of fields
        f" ORDER BY is_shown DESC, {_order_by(rows.order)} LIMIT {limit}",
        read.values("is_shown", *_names(rows.order))[: candidates + 1],
    )
    return [pk for pk, is_shown, _ in found if is_shown], found[0][2] if found else 0


def _as_column(condition: Q) -> Case:
    """Return a condition as a column; an empty one is true."""
    conditions = [When(condition, then=Value(True))] if condition else []  # noqa: FBT003 - a value in SQL
    return Case(*conditions, default=Value(not condition), output_field=BooleanField())


def _scan(rows: _Rows, limit: int, scanned: int) -> list[int] | None:
    """Return the primary keys of the first matching rows; None if too few of the first `scanned` rows match."""
    listed = rows.every.filter(rows.shown).annotate(is_match=rows.matches(uses_index=False))
    read = listed.order_by(*rows.order).values("id", "is_match")[:scanned]
    found = _run(f"SELECT id FROM ({{}}) AS scanned WHERE is_match LIMIT {limit}", read)  # noqa: S608 - a number
    return [pk for (pk,) in found] if len(found) == limit else None


def _sort_all(rows: _Rows, limit: int) -> list[int]:
    """Sort all matching rows; return the primary keys of the first ones.

    The limit of the inner query keeps PostgreSQL from reading the rows in order, which evaluates the condition without
    its index: 16 s instead of 0.2 s for 82,000 matches among 1,000,000 rows.
    """
    found = _run(
        f"SELECT id FROM ({{}}) AS found ORDER BY {_order_by(rows.order)} LIMIT {limit}",  # noqa: S608 - names of fields
        rows.every.filter(rows.shown, rows.matches()).values(*_names(rows.order))[:ALL],
    )
    return [pk for (pk,) in found]


def _run(sql: str, rows: QuerySet[Any, Any]) -> list[tuple[Any, ...]]:
    """Run a query around the query of a queryset, whose place in `sql` is `{}`."""
    connection = connections[rows.db]
    try:
        inner, parameters = rows.query.get_compiler(connection=connection).as_sql()
    except EmptyResultSet:
        return []
    with connection.cursor() as cursor:
        cursor.execute(sql.format(inner), parameters)
        rows_found: list[tuple[Any, ...]] = cursor.fetchall()
        return rows_found


def _names(order: Sequence[str]) -> list[str]:
    return [name.lstrip("-") for name in order]


def _order_by(order: Sequence[str]) -> str:
    return ", ".join(f'"{name.lstrip("-")}" {"DESC" if name.startswith("-") else "ASC"}' for name in order)
