"""Reads from the database everything that the metrics are made of, with a constant number of queries."""

from dataclasses import dataclass, field

from cachelayer.ops import histogram_totals, statistics
from cachelayer.runtime.histograms import Snapshot as Histograms
from cachelayer.runtime.metrics import Snapshot
from conversations.ingest import metrics as ingestion


@dataclass(frozen=True)
class Reading:
    """The state of the site at one moment.

    Attributes:
        cache: the counters of the cache, summed over all processes (`cachelayer.ops.statistics`).
        histograms: the histograms, summed over all processes (`cachelayer.ops.histogram_totals`).
        ingestion: the counters of ingestion by name, summed over all instances (`conversations.ingest.metrics`).
    """

    cache: Snapshot = field(default_factory=dict)
    ingestion: dict[str, int] = field(default_factory=dict)
    histograms: Histograms = field(default_factory=dict)


def read() -> Reading:
    """Read the state of the site now.

    Raises:
        DatabaseError, InterfaceError: the database is unavailable.
    """
    return Reading(cache=statistics.totals(), ingestion=ingestion.totals(), histograms=histogram_totals.totals())
