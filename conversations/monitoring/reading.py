"""Reads from the database everything that the metrics are made of, with a constant number of queries."""

from dataclasses import dataclass, field
from functools import cached_property

from cachelayer.ops import histogram_totals, statistics
from cachelayer.runtime.histograms import Snapshot as Histograms
from cachelayer.runtime.metrics import Snapshot
from conversations.ingest import metrics as ingestion
from conversations.monitoring import state as present


@dataclass(frozen=True)
class Reading:
    """Everything that the metrics show, at one moment.

    Attributes:
        state: the present state of the site.
        cache: the counters of the cache, summed over all processes (`cachelayer.ops.statistics`).
        histograms: the histograms, summed over all processes (`cachelayer.ops.histogram_totals`).
        ingestion: the counters of ingestion by name, summed over all instances (`conversations.ingest.metrics`).
    """

    state: present.State = field(default_factory=present.State)
    cache: Snapshot = field(default_factory=dict)
    ingestion: dict[str, int] = field(default_factory=dict)
    histograms: Histograms = field(default_factory=dict)

    @cached_property
    def buckets(self) -> dict[str, dict[str, dict[int, int]]]:
        """The values of `histograms`: the name of a histogram → its series → the number of a bucket → the value."""
        found: dict[str, dict[str, dict[int, int]]] = {}
        for (name, series, bucket), value in self.histograms.items():
            found.setdefault(name, {}).setdefault(series, {})[bucket] = value
        return found


def read() -> Reading:
    """Read everything now.

    Raises:
        DatabaseError, InterfaceError: the database is unavailable.
    """
    return Reading(
        state=present.read(),
        cache=statistics.totals(),
        ingestion=ingestion.totals(),
        histograms=histogram_totals.totals(),
    )
