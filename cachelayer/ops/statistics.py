"""The counters of all processes, summed in the database, so that every process can read them.

A process adds what it has counted since its last report every two seconds (`background/recovery.py`) and when it ends.
A process that is killed loses what it counted after its last report.
"""

from collections.abc import Mapping

from django.db import router

from cachelayer.models import CounterTotal
from cachelayer.ops.counter_table import add_counts
from cachelayer.runtime.metrics import EVENTS, LOCAL, SHARED, Snapshot
from cachelayer.runtime.runtime import CacheRuntime

COLUMNS = tuple(dict.fromkeys((*LOCAL, *SHARED)))  # of a table with one row for each tier
_KEY = ("namespace", "tier", "name")


class Reporter:
    """Adds the counters of one process to the sums."""

    def __init__(self, runtime: CacheRuntime) -> None:
        self._runtime = runtime
        self._reported: Snapshot = {}

    def report(self) -> None:
        """Add what was counted since the last report.

        Raises:
            DatabaseError: the sums cannot be written; the next report includes these counts.
        """
        counted = self._runtime.counters.snapshot(self._runtime.local.namespaces.values())
        increment({key: value - self._reported.get(key, 0) for key, value in counted.items()})
        self._reported = counted


def increment(counts: Snapshot) -> None:
    """Add to the sums, in one statement."""
    add_counts(CounterTotal, _KEY, counts, using=router.db_for_write(CounterTotal))


def totals() -> Snapshot:
    """Return the sums."""
    rows = CounterTotal.objects.using(router.db_for_write(CounterTotal)).values_list(*_KEY, "value")
    return {(namespace, tier, name): value for namespace, tier, name, value in rows}


def reset() -> None:
    """Set the sums to 0. Processes keep adding what they count from now on."""
    CounterTotal.objects.using(router.db_for_write(CounterTotal)).all().delete()


def hits_and_misses(counts: Mapping[str, int]) -> tuple[int, int]:
    """Return how many reads of a namespace were answered from a tier, and how many from the database.

    Args:
        counts: the counters of one namespace, as `local hits`, `shared misses` and so on.
    """
    hits = sum(counts.get(name, 0) for name in ("local hits", "shared hits", "shared absences"))
    return hits, sum(counts.get(name, 0) for name in ("shared misses", "shared bypasses"))


def hit_rate(counts: Mapping[str, int]) -> float | None:
    """Return the share of a namespace's reads that were answered from a tier; None when there were no reads."""
    hits, misses = hits_and_misses(counts)
    return hits / (hits + misses) if hits + misses else None


def by_namespace(totals: Snapshot) -> dict[str, dict[str, int]]:
    """Return the counters of each namespace as `local hits`, `shared misses` and so on, without events."""
    names = sorted({namespace for namespace, _, _ in totals if namespace != EVENTS})
    return {
        one: {f"{tier} {name}": value for (namespace, tier, name), value in totals.items() if namespace == one}
        for one in names
    }


def by_tier(counts: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Return the counters of one namespace by tier, including those that are 0."""
    return {
        tier: {name: counts.get(f"{tier} {name}", 0) for name in names}
        for tier, names in (("local", LOCAL), ("shared", SHARED))
    }


def events(totals: Snapshot) -> dict[str, int]:
    """Return the counts of events that belong to no namespace."""
    return {name: value for (namespace, _, name), value in sorted(totals.items()) if namespace == EVENTS}
