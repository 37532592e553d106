"""Pure functions from the remembered counters of the site to what a plot shows: one value for each part of a period."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import le
from typing import Any, NamedTuple

from conversations.monitoring.history import LAG_BOUNDS, MINUTE, Figures

LAG_SHARE = 0.95  # of the events have at most the lag that is shown


@dataclass(frozen=True)
class Period:
    """A period that ends now, and its parts.

    Attributes:
        name: names the period in an address.
        minutes: its length.
        step: the length of its parts, in minutes.
    """

    name: str
    minutes: int
    step: int


HOUR, DAY = Period("hour", 60, 1), Period("day", 24 * 60, 15)
PERIODS = {period.name: period for period in (HOUR, DAY)}


class Change(NamedTuple):
    """What was counted between two moments, and what waited at the later one.

    Attributes:
        minutes: the time between them.
        lag: seconds that `LAG_SHARE` of the events took at most; None without events.
        hit_rate: the share of the cached reads that a cache answered; None without reads.
    """

    minutes: float
    messages: int
    failed: int
    refused: int
    errors: int
    cache_hits: int
    cache_misses: int
    lag: float | None
    waiting: int
    late: float

    @property
    def failures(self) -> int:
        """Everything that has failed."""
        return self.failed + self.refused + self.errors

    @property
    def messages_a_minute(self) -> float | None:
        """The mean number of new messages a minute."""
        return self.messages / self.minutes if self.minutes else None

    @property
    def hit_rate(self) -> float | None:
        """The share of the cached reads that a cache answered; None without reads."""
        reads = self.cache_hits + self.cache_misses
        return self.cache_hits / reads if reads else None


class Part(NamedTuple):
    """What was counted in one part of a period, which begins at `at`, in seconds since the epoch; None: not known."""

    at: float
    change: Change | None


def change(rows: Sequence[Figures]) -> Change:
    """Return what was counted between the first and the last of some rows, of which there is one at least.

    A counter that falls was reset, or its instance was deleted: what it counted since the row before is not known.
    """
    columns: dict[str, Any] = dict(zip(Figures._fields, zip(*rows, strict=True), strict=True))
    counts = [_grown(bucket) for bucket in zip(*columns["lags"], strict=False)]
    names = ("messages", "failed", "refused", "errors", "cache_hits", "cache_misses")
    return Change(
        minutes=(rows[-1].at - rows[0].at) / MINUTE,
        **{name: _grown(columns[name]) for name in names},
        lag=quantile(counts, LAG_BOUNDS, LAG_SHARE),
        waiting=rows[-1].waiting,
        late=rows[-1].late,
    )


def _grown(values: Sequence[int]) -> int:
    """Return by how much a counter has grown, without the times at which it fell."""
    if all(map(le, values, values[1:])):  # a day has many values, and a loop in Python would take long
        return values[-1] - values[0]
    return sum(max(0, after - before) for before, after in pairwise(values))


def parts(rows: Sequence[Figures], period: Period) -> list[Part]:
    """Return what was counted in the parts of a period, of which the last row falls into the last part.

    Args:
        rows: the remembered counters in the order of time, at least one.
        period: the period, and how it is divided.
    """
    step = period.step * MINUTE
    end = -(-rows[-1].at // step) * step
    times = [row.at for row in rows]
    found = []
    for number in range(period.minutes // period.step, 0, -1):
        start = end - number * step
        # The counters at the beginning are those of the last row until then. Nothing is known before the first row.
        first, last = max(0, bisect_right(times, start) - 1), bisect_right(times, start + step) - 1
        found.append(Part(start, change(rows[first : last + 1]) if last > first else None))
    return found


def quantile(counts: Sequence[int], bounds: Sequence[float], share: float) -> float | None:
    """Return the value that a share of the observations in a histogram do not exceed, by interpolation in its bucket.

    Args:
        counts: the observations in each bucket; the last one has those above all bounds.
        bounds: the upper limits of the other buckets.
        share: between 0 and 1.
    """
    rank, below = share * sum(counts), 0
    if not rank:
        return None
    for bucket, count in enumerate(counts):
        if count and below + count >= rank:
            if bucket == len(bounds):
                break
            lower = bounds[bucket - 1] if bucket else 0.0
            return lower + (bounds[bucket] - lower) * (rank - below) / count
        below += count
    return bounds[-1]
