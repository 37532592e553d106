"""The counters of all processes, summed in the database, so that every process can read the sums.

Every two seconds (`background/recovery.py`) and when it ends, a process adds to the sums what it has counted since its
last report. A process that is killed loses what it counted after its last report.
"""

from collections.abc import Mapping
from typing import Any

from django.db import router

from cachelayer.models import CounterTotal
from cachelayer.ops.counter_table import add_counts
from cachelayer.runtime.metrics import EVENTS, LOCAL, SHARED, Snapshot
from cachelayer.runtime.runtime import CacheRuntime

COLUMNS = tuple(dict.fromkeys((*LOCAL, *SHARED)))  # the columns of a printed table that has one row for each tier
_KEY = ("namespace", "tier", "name")


class Reporter:
    """Adds the counters of one process to the sums in the database."""

    def __init__(self, runtime: CacheRuntime) -> None:
        self._runtime = runtime
        self._reported: Snapshot = {}

    def report(self) -> None:
        """Add to the sums in the database what this process has counted since its last report.

        Raises:
            DatabaseError: the sums cannot be written; the next report includes these counts.
        """
        counted = self._runtime.counters.snapshot(self._runtime.local.namespaces.values())
        increment({key: value - self._reported.get(key, 0) for key, value in counted.items()})
        self._reported = counted


def increment(counts: Snapshot) -> None:
    """Add counts to the sums in the database, in one SQL statement."""
    add_counts(CounterTotal, _KEY, counts, using=router.db_for_write(CounterTotal))


def totals() -> Snapshot:
    """Return the counters summed over all processes."""
    rows = CounterTotal.objects.using(router.db_for_write(CounterTotal)).values_list(*_KEY, "value")
    return {(namespace, tier, name): value for namespace, tier, name, value in rows}


def reset() -> None:
    """Set the sums in the database to 0; processes go on adding what they have counted since their last report."""
    CounterTotal.objects.using(router.db_for_write(CounterTotal)).all().delete()


def hits_and_misses(counts: Mapping[str, int]) -> tuple[int, int]:
    """Return how many reads of a namespace were answered from a cache tier, and how many from the database.

    Args:
        counts: the counters of one namespace, named `local hits`, `shared misses` and so on.
    """
    hits = sum(counts.get(name, 0) for name in ("local hits", "shared hits", "shared negatives"))
    return hits, sum(counts.get(name, 0) for name in ("shared misses", "shared bypasses"))


def hit_rate(counts: Mapping[str, int]) -> float | None:
    """Return the share of a namespace's reads that were answered from a cache tier; None if there were no reads."""
    hits, misses = hits_and_misses(counts)
    return hits / (hits + misses) if hits + misses else None


def by_namespace(totals: Snapshot) -> dict[str, dict[str, int]]:
    """Return the counters of each namespace, named `local hits`, `shared misses` and so on, without events."""
    names = sorted({namespace for namespace, _, _ in totals if namespace != EVENTS})
    return {
        one: {f"{tier} {name}": value for (namespace, tier, name), value in totals.items() if namespace == one}
        for one in names
    }


def by_tier(counts: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Return the counters of one namespace by tier, including counters that are 0."""
    return {
        tier: {name: counts.get(f"{tier} {name}", 0) for name in names}
        for tier, names in (("local", LOCAL), ("shared", SHARED))
    }


def report(totals: Snapshot) -> dict[str, Any]:
    """Return the counters as JSON data: `namespaces`, each with `hit_rate` and a counter by tier and name; `events`."""
    namespaces = {
        name: {"hit_rate": hit_rate(counts), **by_tier(counts)} for name, counts in by_namespace(totals).items()
    }
    return {"namespaces": namespaces, "events": events(totals)}


def events(totals: Snapshot) -> dict[str, int]:
    """Return the counts of events that belong to no namespace."""
    return {name: value for (namespace, _, name), value in sorted(totals.items()) if namespace == EVENTS}
