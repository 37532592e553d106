"""Splits facts so that the rows which are loaded for them fit into memory.

An update has a hundred bytes, but its message, and the updates that wait for it, may have several hundred kB. The facts
of one key id stay together, because each list of facts loads their rows once.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from typing import Any, TypeVar

from django.db.models import F, IntegerField, TextField
from django.db.models.functions import Cast, Length

from conversations.evolution.facts import Fact, MessageCopy, MessageUpdate
from conversations.ingest.apply.message_rows import MAX_SAME_KEY
from conversations.models import Instance, Message, PendingUpdate

MAX_LOADED = 2**22  # characters of the rows that are loaded together
UNMEASURED = 4  # with at most as many key ids, the lengths of their rows are not read
ROW = 500  # characters that each row counts beside its long values
# Characters that a fact about a crowded key id counts, since the rows for it are in the chats that it names.
CROWDED = 2**16

T = TypeVar("T")


def split(instance: Instance, facts: list[Fact]) -> Iterator[list[Fact]]:
    """Yield the facts in lists for which at most `MAX_LOADED` characters are loaded, unless one key id has more."""
    by_key: defaultdict[str, list[Fact]] = defaultdict(list)
    others: list[Fact] = []
    for fact in facts:
        (by_key[fact.key_id] if isinstance(fact, MessageCopy | MessageUpdate) else others).append(fact)
    sizes, crowded = _sizes(instance, by_key)
    if not crowded and sizes.total() <= MAX_LOADED:
        yield facts
        return
    groups = [(sizes[key_id], same) for key_id, same in by_key.items() if key_id not in crowded]
    groups += [(CROWDED, [fact]) for key_id in crowded for fact in by_key[key_id]]
    for number, part in enumerate(_packed(groups)):
        grouped = [fact for same in part for fact in same]
        yield [*others, *grouped] if number == 0 else grouped


def split_key_ids(instance: Instance, key_ids: Collection[str]) -> Iterator[list[str]]:
    """Yield key ids in lists for which at most `MAX_LOADED` characters are loaded, unless one key id has more."""
    sizes, crowded = _sizes(instance, key_ids)
    return _packed((CROWDED if key_id in crowded else sizes[key_id], key_id) for key_id in key_ids)


def _packed(items: Iterable[tuple[int, T]]) -> Iterator[list[T]]:
    """Yield the items in lists of at most `MAX_LOADED` characters; a larger item is alone."""
    part: list[T] = []
    left = MAX_LOADED
    for size, item in items:
        left -= size
        if part and left < 0:
            yield part
            part, left = [], MAX_LOADED - size
        part.append(item)
    if part:
        yield part


def _sizes(instance: Instance, key_ids: Collection[str]) -> tuple["Counter[str]", set[str]]:
    """Return how many characters are loaded for each key id, and the key ids that are crowded.

    A pending update of an album loads a message of the album.
    """
    if len(key_ids) <= UNMEASURED:
        return Counter(), set()
    sizes: Counter[str] = Counter()
    albums: defaultdict[str, set[str]] = defaultdict(set)  # by the key id of a message
    for key_id in key_ids:
        albums[key_id].add(key_id)
    updates = PendingUpdate.objects.filter(instance=instance, key_id__any_of=list(key_ids))
    for key_id, subject, kind, size in updates.values_list("key_id", "subject", "kind", _length("value")):
        sizes[key_id] += ROW + size
        if kind == PendingUpdate.Kind.ALBUM:
            albums[subject].add(key_id)
    rows, crowded = _message_sizes(instance, list(albums))
    for key_id, size in rows:
        for named in albums[key_id]:
            sizes[named] += ROW + size
    return sizes, crowded & set(key_ids)


def _message_sizes(instance: Instance, key_ids: list[str]) -> tuple[list[tuple[str, int]], set[str]]:
    """Return the key id and the size of each message whose key id is not crowded, and the crowded key ids.

    They are found as `message_rows.load` finds them.
    """
    limit = 2 * len(key_ids) + MAX_SAME_KEY
    size = sum((_length(name) for name in ("reactions", "poll_results", "details")), F("text_length"))
    messages = Message.objects.filter(instance=instance, key_id__any_of=key_ids)
    messages = messages.annotate(text_length=Length("text") + Length("original_text"))
    rows = list(messages.values_list("key_id", size)[: limit + 1])
    if len(rows) > limit and len(key_ids) > 1:
        half = len(key_ids) // 2
        halves = [_message_sizes(instance, part) for part in (key_ids[:half], key_ids[half:])]
        return halves[0][0] + halves[1][0], halves[0][1] | halves[1][1]
    counts = Counter(key_id for key_id, _ in rows)
    crowded = {key_id for key_id, count in counts.items() if count > MAX_SAME_KEY}
    return [(key_id, size) for key_id, size in rows if key_id not in crowded], crowded


def _length(name: str) -> Any:
    """Return the expression for the length of a JSON value as text."""
    return Length(Cast(name, TextField()), output_field=IntegerField())
