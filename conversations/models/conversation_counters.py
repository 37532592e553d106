"""Counts conversations by state. Each counter is the number of rows in the list with certain filters.

The counters of an instance are one cache entry with the tag of the instance's list of conversations. So after a change
in one instance, the counters of that instance alone are computed again.
"""

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache as cache_results
from typing import Any, NamedTuple

from django.db.models import BooleanField, Case, Count, Sum, When
from django.utils import timezone

from cachelayer import cache, limit_ttl
from conversations.models.conversation import Conversation
from conversations.models.conversation_filters import IS_UNREAD, MINUTE, this_minute
from conversations.models.conversation_tally import STATES, ConversationTally
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
UNREAD_MESSAGES = "unread_messages"  # the sum of the unread counts of these conversations


class States(NamedTuple):
    """The kind and the states of some conversations, by the name of the filter."""

    kind: str
    archived: bool
    pinned: bool
    unread: bool


@cache_results
def counters_of(states: States) -> tuple[str, ...]:
    """Return the names of the counters that count conversations in these states, without `muted`."""

    def counts(filters: Mapping[str, Any]) -> bool:
        return "muted" not in filters and all(getattr(states, name) == value for name, value in filters.items())

    return tuple(name for name, filters in COUNTERS.items() if counts(filters))


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
    counts = {pks[key]: dict.fromkeys((*COUNTERS, UNREAD_MESSAGES), 0) for key in keys}
    mutes: dict[int, list[Any]] = {pks[key]: [] for key in keys}
    for pk, *states, conversations, unread_messages in load_cells(counts):
        for name in counters_of(States(*states)):
            counts[pk][name] += conversations
        counts[pk][UNREAD_MESSAGES] += unread_messages
    muted = Conversation.objects.filter(instance__in=counts, is_deleted=False, muted_until__gt=now).order_by()
    for pk, *mute in muted.values_list("instance", "muted_until").annotate(count=Count("*")):
        mutes[pk].append(mute)
    return {key: {"counts": counts[pks[key]], "mutes": mutes[pks[key]]} for key in keys}


def load_cells(pks: Collection[int]) -> Iterable[tuple[Any, ...]]:
    """Return how many conversations of some instances are in which states.

    Returns:
        The primary key of an instance, the values of `States`, the number of conversations in these states, and of
        their unread messages.
    """
    if not ConversationTally.objects.is_kept():
        return count_cells(pks)
    tally = ConversationTally.objects.filter(instance__in=pks).values_list(*STATES)
    return tally.annotate(rows=Sum("conversations"), unread=Sum("unread_messages")).filter(rows__gt=0)


def count_cells(pks: Collection[int]) -> Iterable[tuple[Any, ...]]:
    """Return what `load_cells` returns, from the conversations themselves, which takes longer if there are many."""
    is_unread = Case(When(IS_UNREAD, then=True), default=False, output_field=BooleanField())
    rows = Conversation.objects.filter(instance__in=pks, is_deleted=False).order_by()
    counted = rows.annotate(is_unread=is_unread).values_list(*STATES)
    return counted.annotate(rows=Count("*"), unread=Sum("unread_count"))
