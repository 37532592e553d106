"""Searches for contacts, conversations and messages, at a cost that hardly depends on the number of rows.

The index returns rows in no order, and is slow for a frequent word. So a search first counts its words in a few rows.
If it is frequent, it reads rows in the order of the list until enough match. Else it reads the matching rows from the
index and sorts them (see `conversations.search.steps`). Of the words of messages, only the rarest one is looked up, and
the others are checked in the rows. If a bucket has too many rows with it, all words are looked up.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from hashlib import blake2b
from typing import Any

from django.db.models import Q, QuerySet
from django.db.models.functions import Left

from cachelayer import Page, cache
from conversations.db import page_bytes
from conversations.db.keyset import after, cursor_at
from conversations.db.page_bytes import MAX_PAGE_BYTES
from conversations.db.raw import run
from conversations.models import Contact, Conversation, Message
from conversations.models.conversation import LATEST_FIRST as LATEST_CONVERSATION_FIRST
from conversations.models.instance_scoped import Instances, InstanceScopedManager, instance_pks, scope
from conversations.models.message import LATEST_FIRST as LATEST_MESSAGE_FIRST
from conversations.search.buckets import bucket, span
from conversations.search.folding import fold
from conversations.search.lexemes import CONTACTS, GROUPS, MESSAGES, Index, Matches
from conversations.search.query import Alternatives, Query
from conversations.search.steps import Condition, Rows, in_steps, read_few

SAMPLE = 200  # rows that tell how frequent a search is
SAMPLE_CHARS = 1_000  # of each: folding the longest texts whole would take a second, in which other threads wait
FREQUENT = 5  # matching rows among these with which reading in order is expected to find a page in the first step
CANDIDATES = 2_000  # messages with the rarest word that are checked
GROWTH = 4  # how many times more buckets of messages a search reads next

# Contacts are not found in the order of their names: whoever searches for a frequent name would find the matching rows
# close together in that order, often far from its start.
NEWEST_FIRST = ("-id",)

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
    return [pk for (pk,) in run(f"SELECT id FROM ({page_bytes.cut('{}', rows, order, MAX_PAGE_BYTES)}) AS page", rows)]  # noqa: S608 - names of columns


# --- contacts ---------------------------------------------------------------------------------------------------------
def contact_pks(query: Query, instances: Instances, *, cursor: str = "", limit: int) -> list[int]:
    """Return the primary keys of the first rows of `find_contacts`, read from the database."""
    shown = scope(instances) & after(Contact, NEWEST_FIRST, cursor)
    rows = Rows(Contact.objects.all(), shown, NEWEST_FIRST, _condition(CONTACTS, query.names, instances))
    return in_steps(rows, limit, is_frequent=_is_frequent_name(query, instances))


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
    groups = Rows(
        Conversation.objects.filter(GROUPS.condition), shown, order, _condition(GROUPS, query.names, instances)
    )
    contacts = _condition(CONTACTS, query.names, instances)
    direct = Rows(Conversation.objects.filter(contact__isnull=False), shown, order, partial(contacts, path="contact__"))
    of_contacts = Contact.objects.filter(contacts())

    def sort_few(candidates: int) -> list[int] | None:
        pks = list(of_contacts.values_list("pk", flat=True)[: candidates + 1])
        if len(pks) > candidates:
            return None
        found = direct.every.filter(shown, contact__id__any_of=pks).order_by(*order)
        return list(found.values_list("pk", flat=True)[:limit])

    is_frequent = _is_frequent_name(query, instances)
    found = [
        *in_steps(groups, limit, is_frequent=is_frequent),
        *in_steps(direct, limit, sort_few, is_frequent=is_frequent),
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
        rows = Rows(every, shown & Q(timestamp__gte=start, timestamp__lt=end), order, condition)
        page, read = list[int](), 0
        if is_rare:
            index = None if is_one_word else _condition(MESSAGES, sample.rarest, instances, window)
            page, read = read_few(rows, missing, CANDIDATES, index)
            if read > CANDIDATES and size > 1:
                size = most = max(1, size // GROWTH)
                continue
            is_rare = read <= CANDIDATES
        if is_rare:
            most = min(most, _buckets_for(CANDIDATES, size, read))
        else:
            page, most = in_steps(rows, missing, is_frequent=sample.is_frequent or is_one_word), 1
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


# --- words ------------------------------------------------------------------------------------------------------------
def _condition(
    index: Index, alternatives: Any, instances: Instances, buckets: Sequence[int] | None = None
) -> Condition:
    return partial(Matches, index, alternatives, instance_pks(instances), buckets)


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
