"""Histograms of this process: how many durations fall into each of some fixed buckets.

`Histogram.observe` takes no lock, and less than a microsecond. CPython switches threads only at calls and jumps, and
`counts[bucket] += 1` contains neither a call nor a jump, so no increment is lost.
`cachelayer.ops.histogram_totals` adds up the histograms of all processes.
"""

from bisect import bisect_left
from collections.abc import Mapping

# The upper limits of the buckets in seconds; one more bucket has all longer durations.
FAST = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0)
SLOW = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
ROUND_TRIP = "whatsai_store_round_trip_seconds"
SUM = -1  # takes the place of the number of a bucket for the sum of all durations, in microseconds

# The values of histograms, by (name of the histogram, its series, number of the bucket or SUM).
Snapshot = Mapping[tuple[str, str, int], int]


class Histogram:
    """The durations of one series.

    Args:
        bounds: the upper limits of the buckets, in seconds; a limit belongs to its bucket.
    """

    __slots__ = ("bounds", "counts", "seconds")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.seconds = 0.0

    def observe(self, seconds: float) -> None:
        """Count one duration."""
        bucket = bisect_left(self.bounds, seconds)
        self.counts[bucket] += 1
        self.seconds += seconds


_histograms: dict[tuple[str, str], Histogram] = {}


def histogram(name: str, bounds: tuple[float, ...], series: str = "") -> Histogram:
    """Return the histogram of this process with a name and a series; make it at the first call.

    Args:
        name: the name of the histogram.
        bounds: the limits of its buckets, the same at each call.
        series: the values of its labels, joined by spaces. They must come from the code, so that they do not grow.
    """
    found = _histograms.get((name, series))
    return found if found is not None else _histograms.setdefault((name, series), Histogram(bounds))


def snapshot() -> Snapshot:
    """Return all values that are not 0."""
    values: dict[tuple[str, str, int], int] = {}
    for (name, series), one in list(_histograms.items()):
        counts = dict(enumerate(one.counts)) | {SUM: round(one.seconds * 1e6)}
        values.update({(name, series, bucket): count for bucket, count in counts.items() if count})
    return values
