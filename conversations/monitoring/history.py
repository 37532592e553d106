"""Remembers the site's counters of each minute of the last day, and reads them for plots.

The rows have the sums of all processes since the beginning, as `/metrics` shows them. So a minute without a row loses
nothing: the next row includes its counts. What a row says of a moment is never added to what another process says.
"""

from typing import Any, NamedTuple

from django.utils import timezone

from cachelayer.ops import statistics
from cachelayer.runtime.histograms import SLOW, SUM
from conversations.ingest.metrics import LAG
from conversations.models import MinuteRecord
from conversations.monitoring import reading
from conversations.monitoring.reading import Reading
from conversations.monitoring.requests import REQUESTS

MINUTE = 60
KEPT_MINUTES = 24 * 60
REMEMBER_SECONDS = 10.0  # how soon after its beginning a minute has its row
LAG_BOUNDS = SLOW  # the buckets of the histogram `LAG`


class Figures(NamedTuple):
    """The site's counters at one moment; `MinuteRecord` describes them.

    Attributes:
        at: the moment, in seconds since the epoch.
    """

    at: float
    messages: int = 0
    failed: int = 0
    refused: int = 0
    errors: int = 0
    cache_hits: int = 0
    cache_misses: int = 0
    lags: tuple[int, ...] = ()
    waiting: int = 0
    late: float = 0.0


def figures_of(current: Reading) -> Figures:
    """Return the counters of a reading."""
    namespaces = statistics.by_namespace(current.cache).values()
    hits, misses = zip(*map(statistics.hits_and_misses, namespaces), strict=True) if namespaces else ((), ())
    return Figures(
        at=current.state.at.timestamp(),
        messages=current.ingestion.get("messages", 0),
        failed=current.ingestion.get("failed", 0),
        refused=current.ingestion.get("refused", 0),
        errors=sum(
            count
            for (name, series, bucket), count in current.histograms.items()
            if name == REQUESTS and bucket != SUM and series.endswith(" 5xx")
        ),
        cache_hits=sum(hits),
        cache_misses=sum(misses),
        lags=tuple(current.histograms.get((LAG, "", bucket), 0) for bucket in range(len(LAG_BOUNDS) + 1)),
        waiting=current.state.backlog.waiting,
        late=current.state.backlog.late,
    )


def remember() -> None:
    """Store the counters if this minute has no row yet, and delete rows that are older than a day.

    Raises:
        DatabaseError, InterfaceError: the database is unavailable.
    """
    minute = int(timezone.now().timestamp()) // MINUTE
    if MinuteRecord.objects.filter(minute=minute).exists():
        return
    values = figures_of(reading.read())._asdict() | {"minute": minute}
    del values["at"]
    MinuteRecord.objects.bulk_create([MinuteRecord(**values)], ignore_conflicts=True)
    # A row of the future is of a clock that was wrong.
    MinuteRecord.objects.exclude(minute__range=(minute - KEPT_MINUTES, minute)).delete()


def load(minutes: int) -> list[Figures]:
    """Return the remembered counters of the last minutes, the earliest first.

    Raises:
        DatabaseError, InterfaceError: the database is unavailable.
    """
    minute = int(timezone.now().timestamp()) // MINUTE
    names = ("minute", *Figures._fields[1:])
    rows = MinuteRecord.objects.filter(minute__range=(minute - minutes, minute)).order_by("minute").values_list(*names)
    return [_figures(dict(zip(names, row, strict=True))) for row in rows]


def _figures(values: dict[str, Any]) -> Figures:
    return Figures(at=values.pop("minute") * MINUTE, **values | {"lags": tuple(values["lags"])})
