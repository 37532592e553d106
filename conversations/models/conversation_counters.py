"""Counts conversations by state. Each counter is the number of rows in the list with certain filters.

The counters of an instance are one cache entry with the tag of the instance's list of conversations. So after a change
in one instance, the counters of that instance alone are computed again.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from django.db.models import BooleanField, Case, Count, QuerySet, Sum, When
from django.utils import timezone

from cachelayer import cache, limit_ttl
from conversations.models.conversation import Conversation
from conversations.models.conversation_filters import IS_UNREAD, MINUTE, this_minute
from conversations.models.instance import Instance

Counts = dict[str, int]

# counter → the filters of the list whose rows it counts; conversations that were deleted on the phone do not count
COUNTERS: Mapping[str, Mapping[str, Any]] = {
    "conversations": {},
    "archived": {"archived": True},
    "pinned": {"pinned": True},
    "muted": {"muted": True},
    "unread": {"unread": True},
    "unread_not_archived": {"unread": True, "archived": False},
    **{kind.value: {"kind": kind.value} for kind in Conversation.Kind},
}
CELL_COUNTERS = tuple(name for name, filters in COUNTERS.items() if "muted" not in filters)
UNREAD_MESSAGES = "unread_messages"  # the sum of the unread counts of these conversations


class Cell(NamedTuple):
    """How many conversations of an instance agree in their kind and in all states, and their unread messages."""

    kind: str
    archived: bool
    pinned: bool
    unread: bool
    conversations: int
    unread_messages: int

    def satisfies(self, filters: Mapping[str, Any]) -> bool:
        """Return whether the list with these filters contains the conversations."""
        return all(getattr(self, name) == value for name, value in filters.items())


def fetch_counters(instances: Collection[int] | None) -> dict[int, Counts]:
    """Return the counters of those of some instances that exist, by primary key, from the cache if possible.

    Args:
        instances: the primary keys of the instances, or None for all.
    """
    now = this_minute()
    existing = cache.fetch("instances:pks", _load_instances, tags=("instances:all",))
    pks = {f"conversations:counters:{pk}": pk for pk in existing if instances is None or pk in instances}
    tags = {key: (Conversation.objects.list_tag(pk),) for key, pk in pks.items()}
    found = cache.fetch_many(tags, lambda keys: _load(pks, keys, now))
    mutes = {key: [(end, count) for end, count in found[key]["mutes"] if end > now] for key in pks}
    ends = [end for counts in mutes.values() for end, _ in counts]
    if ends:
        limit_ttl((max(min(ends), now + MINUTE) - timezone.now()).total_seconds())
    return {pk: {**found[key]["counts"], "muted": sum(count for _, count in mutes[key])} for key, pk in pks.items()}


def total(counters: Iterable[Counts]) -> Counts:
    """Return the sum of each counter."""
    sums = dict.fromkeys((*COUNTERS, UNREAD_MESSAGES), 0)
    for counts in counters:
        for name, count in counts.items():
            sums[name] += count
    return sums


# --- the database -----------------------------------------------------------------------------------------------------
def _load_instances() -> list[int]:
    return list(Instance.objects.primary(Instance.objects.order_by("pk")).values_list("pk", flat=True))


def _load(pks: Mapping[str, int], keys: Sequence[str], now: dt.datetime) -> dict[str, dict[str, Any]]:
    """Count the conversations of the instances with some keys, in a constant number of queries."""
    rows = Conversation.objects.filter(instance__in=[pks[key] for key in keys], is_deleted=False)
    rows = Conversation.objects.primary(rows).order_by()
    muted = rows.filter(muted_until__gt=now).values_list("instance", "muted_until").annotate(count=Count("*"))
    cells, mutes = defaultdict(list), defaultdict(list)
    for pk, *cell in _cells(rows):
        cells[pk].append(Cell(*cell))
    for pk, *mute in muted:
        mutes[pk].append(mute)
    return {key: {"counts": _counts(cells[pks[key]]), "mutes": mutes[pks[key]]} for key in keys}


def _cells(rows: QuerySet[Conversation]) -> QuerySet[Conversation, tuple[Any, ...]]:
    """Return the primary key of an instance and the values of a `Cell`, for each cell that is not empty."""
    is_unread = Case(When(IS_UNREAD, then=True), default=False, output_field=BooleanField())
    states = ("instance", "kind", "is_archived", "is_pinned", "is_unread")
    counted = rows.annotate(is_unread=is_unread).values_list(*states)
    return counted.annotate(rows=Count("*"), unread=Sum("unread_count"))


def _counts(cells: Sequence[Cell]) -> Counts:
    counts = {
        name: sum(cell.conversations for cell in cells if cell.satisfies(COUNTERS[name])) for name in CELL_COUNTERS
    }
    return {**counts, UNREAD_MESSAGES: sum(cell.unread_messages for cell in cells)}
