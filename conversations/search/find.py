"""Searches for contacts, conversations and messages, at a cost that hardly depends on the number of rows.

A search tries the steps of `STEPS` in turn. If few rows match, it reads them from the index and sorts them. If more
match, it reads rows in the order of the list until enough match, which is cheaper for a frequent word. After the last
step, all matches are sorted.
"""

from collections.abc import Callable, Sequence
from functools import partial
from hashlib import blake2b
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connections
from django.db.models import QuerySet

from cachelayer import Page, cache
from conversations.db import page_bytes
from conversations.db.keyset import cursor_at, rows_after
from conversations.db.page_bytes import MAX_PAGE_BYTES
from conversations.models import Contact, Conversation, Message
from conversations.models.conversation import LATEST_FIRST as LATEST_CONVERSATION_FIRST
from conversations.models.instance_scoped import Instances, InstanceScopedManager, instance_pks
from conversations.models.message import LATEST_FIRST as LATEST_MESSAGE_FIRST
from conversations.search.buckets import span, windows
from conversations.search.lexemes import CONTACTS, GROUPS, MESSAGES, Index, Matches
from conversations.search.query import Query

# For each step: the number of matching rows that are sorted, and the number of rows that are read in order.
STEPS = ((1_000, 1_500), (10_000, 5_000))
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
    rows = rows_after(Contact.objects.scoped_to(instances), NEWEST_FIRST, cursor)
    return _first(rows, NEWEST_FIRST, _condition(CONTACTS, query.names, instances), limit)


# --- conversations ----------------------------------------------------------------------------------------------------
def conversation_pks(query: Query, instances: Instances, *, cursor: str = "", limit: int) -> list[int]:
    """Return the primary keys of the first rows of `find_conversations`, read from the database."""
    order = LATEST_CONVERSATION_FIRST
    rows = rows_after(Conversation.objects.scoped_to(instances).filter(is_deleted=False), order, cursor)
    groups = _first(rows.filter(GROUPS.condition), order, _condition(GROUPS, query.names, instances), limit)
    found = rows.filter(pk__in=[*groups, *_first_direct(rows, query, instances, limit)])
    return list(found.order_by(*order).values_list("pk", flat=True)[:limit])


def _first_direct(rows: QuerySet[Conversation], query: Query, instances: Instances, limit: int) -> list[int]:
    """Return the primary keys of the first conversations whose contact matches."""
    order = LATEST_CONVERSATION_FIRST
    matches = _condition(CONTACTS, query.names, instances)
    contacts = Contact.objects.scoped_to(instances).filter(matches())

    def sort_few(candidates: int) -> list[int] | None:
        pks = list(contacts.values_list("pk", flat=True)[: candidates + 1])
        if len(pks) > candidates:
            return None
        return list(rows.filter(contact__id__any_of=pks).order_by(*order).values_list("pk", flat=True)[:limit])

    direct = rows.filter(contact__isnull=False)
    return _in_steps(direct, order, partial(matches, path="contact__"), limit, sort_few)


# --- messages ---------------------------------------------------------------------------------------------------------
def message_pks(query: Query, instances: Instances, *, cursor: str = "", limit: int) -> list[int]:
    """Return the primary keys of the first rows of `find_messages`, read from the database."""
    order = LATEST_MESSAGE_FIRST
    scoped = Message.objects.scoped_to(instances)
    rows = rows_after(scoped, order, cursor)
    times = rows.order_by(*order), scoped.order_by("timestamp")
    newest, oldest = (time.values_list("timestamp", flat=True).first() for time in times)
    found: list[int] = []
    if newest is None or oldest is None:
        return found
    rows = rows.filter(MESSAGES.condition, is_deleted=False)
    for window in windows(newest, oldest):
        start, end = span(window)
        in_window = rows.filter(timestamp__gte=start, timestamp__lt=end)
        found += _first(in_window, order, _condition(MESSAGES, query.texts, instances, window), limit - len(found))
        if len(found) == limit:
            break
    return found


# --- reading ----------------------------------------------------------------------------------------------------------
def _condition(
    index: Index, alternatives: Any, instances: Instances, buckets: Sequence[int] | None = None
) -> Condition:
    return partial(Matches, index, alternatives, instance_pks(instances), buckets)


def _first(rows: QuerySet[Any], order: Sequence[str], matches: Condition, limit: int) -> list[int]:
    """Return the primary keys of the first matching rows."""

    def sort_few(candidates: int) -> list[int] | None:
        found = _sorted("id, count(*) OVER ()", rows.filter(matches()), order, candidates + 1, limit)
        return None if found and found[0][1] > candidates else [pk for pk, _ in found]

    return _in_steps(rows, order, matches, limit, sort_few)


def _in_steps(
    rows: QuerySet[Any],
    order: Sequence[str],
    matches: Condition,
    limit: int,
    sort_few: Callable[[int], list[int] | None],
) -> list[int]:
    """Return the primary keys of the first matching rows.

    `sort_few` returns those of at most some matching rows, or None if more rows match.
    """
    for candidates, scanned in STEPS:
        found = sort_few(candidates)
        if found is None:
            found = _scan(rows, order, matches(uses_index=False), limit, scanned)
        if found is not None:
            return found
    return _sort(rows, order, matches(), limit)


def _scan(rows: QuerySet[Any], order: Sequence[str], condition: Matches, limit: int, scanned: int) -> list[int] | None:
    """Return the primary keys of the first matching rows; None if too few of the first `scanned` rows match."""
    read = rows.annotate(is_match=condition).order_by(*order).values("id", "is_match")[:scanned]
    found = _run(f"SELECT id FROM ({{}}) AS scanned WHERE is_match LIMIT {limit}", read)  # noqa: S608 - a number
    return [pk for (pk,) in found] if len(found) == limit else None


def _sort(rows: QuerySet[Any], order: Sequence[str], condition: Matches, limit: int) -> list[int]:
    """Return the primary keys of the first matching rows after sorting all matching rows."""
    return [pk for (pk,) in _sorted("id", rows.filter(condition), order, ALL, limit)]


def _sorted(
    columns: str, rows: QuerySet[Any], order: Sequence[str], candidates: int, limit: int
) -> list[tuple[Any, ...]]:
    """Sort at most `candidates` of the rows; return the columns of the first ones.

    The limit of the inner query keeps PostgreSQL from reading the rows in order, which evaluates the condition without
    its index: 16 s instead of 0.2 s for 82,000 matches among 1,000,000 rows.
    """
    names = [name for name, _ in _directions(order) if name != "id"]
    directions = ", ".join(f'"{name}" {direction}' for name, direction in _directions(order))
    return _run(
        f"SELECT {columns} FROM ({{}}) AS found ORDER BY {directions} LIMIT {limit}",  # noqa: S608 - names of fields
        rows.values("id", *names)[:candidates],
    )


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


def _directions(order: Sequence[str]) -> list[tuple[str, str]]:
    return [(name.lstrip("-"), "DESC" if name.startswith("-") else "ASC") for name in order]
