"""What all processes have counted, summed up in the database: so that any process sees it, with a server or without.

A process adds what it has counted since its last report, every two seconds (`mender.py`) and when it ends. What it
counted after its last report is lost if it is killed.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from django.db import connections, router

from cachelayer.models import CounterTotal
from cachelayer.runtime.metrics import EVENTS, LOCAL, SHARED, Snapshot

if TYPE_CHECKING:
    from cachelayer.runtime.runtime import CacheRuntime

COLUMNS = tuple(dict.fromkeys((*LOCAL, *SHARED)))  # of a table with a row for each tier

_ADD = """
INSERT INTO {table} (namespace, tier, name, value) VALUES {rows}
ON CONFLICT (namespace, tier, name) DO UPDATE SET value = {table}.value + excluded.value
"""


class Reporter:
    """Adds one process' counts to everybody's."""

    def __init__(self, service: "CacheRuntime") -> None:
        self._service = service
        self._reported: Snapshot = {}

    def report(self) -> None:
        """Add what was counted since the last time.

        Raises:
            DatabaseError: it cannot be written; the next report has it.
        """
        counted = self._service.counters.snapshot(self._service.local.namespaces.values())
        new = {key: value - self._reported.get(key, 0) for key, value in counted.items()}
        increment({key: value for key, value in new.items() if value})
        self._reported = counted


def increment(counts: Snapshot) -> None:
    """Add to the sums, in one statement."""
    if not counts:
        return
    alias = router.db_for_write(CounterTotal)
    # Always in the same order: two processes that report at once wait for each other, and never both.
    values = [value for key in sorted(counts) for value in (*key, counts[key])]
    rows = ", ".join(["(%s, %s, %s, %s)"] * len(counts))
    with connections[alias].cursor() as cursor:
        cursor.execute(_ADD.format(table=CounterTotal._meta.db_table, rows=rows), values)  # noqa: SLF001 - documented


def totals() -> Snapshot:
    """Return the sums."""
    rows = CounterTotal.objects.using(router.db_for_write(CounterTotal)).values_list(
        "namespace", "tier", "name", "value"
    )
    return {(namespace, tier, name): value for namespace, tier, name, value in rows}


def reset() -> None:
    """Start the sums from nothing. Processes go on with what they count from here."""
    CounterTotal.objects.using(router.db_for_write(CounterTotal)).all().delete()


def hits_and_misses(counts: Mapping[str, int]) -> tuple[int, int]:
    """Return how many reads of a namespace were answered from a tier, and how many were not.

    Args:
        counts: one namespace's, as `local hits`, `shared misses` and so on.
    """
    hits = sum(counts.get(name, 0) for name in ("local hits", "shared hits", "shared absences"))
    return hits, sum(counts.get(name, 0) for name in ("shared misses", "shared bypasses"))


def hit_rate(counts: Mapping[str, int]) -> float | None:
    """Return the share of a namespace's reads that were answered from a tier; None when there were none."""
    hits, rest = hits_and_misses(counts)
    return hits / (hits + rest) if hits + rest else None


def by_namespace(found: Snapshot) -> dict[str, dict[str, int]]:
    """Return the counts of each namespace as `local hits`, `shared misses` and so on, events left out."""
    names = sorted({namespace for namespace, _, _ in found if namespace != EVENTS})
    return {
        one: {f"{tier} {name}": value for (namespace, tier, name), value in found.items() if namespace == one}
        for one in names
    }


def by_tier(counts: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Return one namespace's counts by tier; every count there is, also those that are 0."""
    return {
        tier: {name: counts.get(f"{tier} {name}", 0) for name in names}
        for tier, names in (("local", LOCAL), ("shared", SHARED))
    }


def events(found: Snapshot) -> dict[str, int]:
    """Return how often what concerns no namespace has happened."""
    return {name: value for (namespace, _, name), value in sorted(found.items()) if namespace == EVENTS}
