"""Keeps batches short: after a batch that took long, an instance's next batches are smaller.

The cost of a fact depends on the stored rows that it changes, and senders choose these rows. So a limit of events,
facts or bytes alone does not bound how long a batch takes, while other instances wait. If many instances are ready,
each of them waits for a batch of every other one, so batches are then shorter.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from time import thread_time

# Seconds of a batch's computing, and on SQLite of its queries. Time spent waiting is not counted: a slow database makes
# each batch slow, and small batches would make it slower.
MAX_SECONDS = 1.0
MIN_SECONDS = 0.1  # in shorter batches, the fixed cost of a batch, about 0.02 s, would dominate
ROUND_SECONDS = 5.0  # of a batch of each ready instance
MIN_SHARE = 1 / 512  # a single event of a full batch
GROWTH = 2.0  # maximum growth from one batch to the next


def max_seconds(ready: int) -> float:
    """Return how long a batch may compute while a number of instances are ready.

    >>> [max_seconds(ready) for ready in (1, 5, 10, 1000)]
    [1.0, 1.0, 0.5, 0.1]
    """
    return min(MAX_SECONDS, max(MIN_SECONDS, ROUND_SECONDS / ready))


def next_share(share: float, seconds: float, limit: float) -> float:
    """Return the share of a full batch that the next batch may have.

    Args:
        share: the share of the last batch, from `MIN_SHARE` to 1.
        seconds: how long the last batch computed.
        limit: how long a batch may compute.

    >>> next_share(1.0, seconds=4.0, limit=1.0)
    0.25
    >>> next_share(0.25, seconds=0.1, limit=1.0)
    0.5
    """
    factor = min(GROWTH, limit / max(seconds, 1e-9))
    return min(1.0, max(MIN_SHARE, share * factor))


class Pace:
    """The share of a full batch that each instance's next batch may have, in one worker."""

    def __init__(self) -> None:
        self._shares: dict[int, float] = {}  # primary key of an instance → share, if it is not 1

    @contextmanager
    def batch(self, instance: int, ready: int) -> Iterator[float]:
        """Measure a batch, which is applied during the block; the value is its share of a full batch.

        Args:
            instance: the primary key of the batch's instance.
            ready: the number of instances that are ready, including this one.
        """
        share, started = self._shares.pop(instance, 1.0), thread_time()
        try:
            yield share
        finally:
            share = next_share(share, thread_time() - started, max_seconds(ready))
            if share < 1:
                self._shares[instance] = share
