"""The buckets of time in which messages are indexed, and the order in which a search reads them."""

import datetime as dt
from collections.abc import Iterator

from conversations.evolution.coerce import EPOCH

DAYS = 32  # days in one bucket, as in migration 0015
_SIZES = (1, 3, 12)  # buckets that a search reads at once; then it reads all the rest


def bucket(time: dt.datetime) -> int:
    """Return the number of the bucket of a time."""
    return (time - EPOCH).days // DAYS


def span(window: range) -> tuple[dt.datetime, dt.datetime]:
    """Return the first time of the earliest bucket of a group, and the first time after its latest bucket."""
    return EPOCH + dt.timedelta(days=window[-1] * DAYS), EPOCH + dt.timedelta(days=(window[0] + 1) * DAYS)


def windows(newest: dt.datetime, oldest: dt.datetime) -> Iterator[range]:
    """Return groups of buckets, the latest first, that together contain all times between two times.

    A frequent word is found in the first group. A group is many times larger than those before it together, and is
    read only if those have few matches. So a search reads few matches more than it returns.
    """
    high, low = bucket(newest), bucket(oldest)
    for size in _SIZES:
        if high < low:
            return
        yield range(high, max(low, high - size + 1) - 1, -1)
        high -= size
    if high >= low:
        yield range(high, low - 1, -1)
