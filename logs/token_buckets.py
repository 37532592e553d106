"""Token buckets, which bound how often something happens: one bucket per key, such as one per instance.

Tokens are added to a bucket at a fixed rate, up to the bucket's capacity, and each action takes one token.
"""

import threading
from collections import OrderedDict
from collections.abc import Hashable
from time import monotonic
from typing import NamedTuple

MAX_BUCKETS = 10_000  # of one object; a bucket takes about 300 bytes


class Taken(NamedTuple):
    """The result of an attempt to take a token.

    Attributes:
        has_token: whether the bucket had a token.
        capacity: the number of tokens in a full bucket.
        tokens: the number of tokens that are left.
        rate: the number of tokens added per second.
    """

    has_token: bool
    capacity: float
    tokens: float
    rate: float

    @property
    def seconds_to_token(self) -> float:
        """After how many seconds the bucket has a token again; 0 if it has one."""
        return max(1 - self.tokens, 0) / self.rate

    @property
    def seconds_to_full(self) -> float:
        """After how many seconds the bucket is full again."""
        return (self.capacity - self.tokens) / self.rate


class TokenBuckets:
    """One token bucket per key. Of too many, the one that was not used for the longest time is removed.

    A bucket that is removed is full at its next use, so that outsiders with many keys can neither fill the memory nor
    take tokens from others.
    """

    def __init__(self, burst_seconds: float, max_buckets: int = MAX_BUCKETS) -> None:
        """Set the capacity of all buckets, the tokens that are added in `burst_seconds`, and the number of buckets."""
        self._burst_seconds = burst_seconds
        self._max_buckets = max_buckets
        self._buckets: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()  # key → (tokens, time of last use)
        self._lock = threading.Lock()

    def take(self, key: Hashable, rate: float) -> bool:
        """Take one token from a bucket, which is full at first; return whether the bucket had a token.

        Args:
            key: the bucket's key.
            rate: the number of tokens added per second.
        """
        return self.try_take(key, rate).has_token

    def try_take(self, key: Hashable, rate: float, amount: float = 1) -> Taken:
        """Do what `take` does, and return how many tokens are left.

        With another amount than 1, a bucket that has one token gives the whole amount, and owes what it does not have.
        """
        with self._lock:
            has_token, capacity, tokens, _ = self.peek(key, rate)
            now = monotonic()
            tokens -= has_token * amount
            self._buckets[key] = (tokens, now)
            self._buckets.move_to_end(key)
            if len(self._buckets) > self._max_buckets:
                self._buckets.popitem(last=False)
        return Taken(has_token, capacity, tokens, rate)

    def peek(self, key: Hashable, rate: float) -> Taken:
        """Return whether a bucket has a token, and how many, without taking one."""
        capacity, now = max(rate * self._burst_seconds, 1.0), monotonic()
        tokens, used_at = self._buckets.get(key, (capacity, now))
        tokens = min(tokens + (now - used_at) * rate, capacity)
        return Taken(tokens >= 1, capacity, tokens, rate)

    def __contains__(self, key: Hashable) -> bool:
        """Return whether there is a bucket with this key."""
        return key in self._buckets

    def __len__(self) -> int:
        """Return the number of buckets."""
        return len(self._buckets)

    def reset(self) -> None:
        """Fill all buckets, and replace the lock, which a thread may have held during a fork."""
        self._lock = threading.Lock()
        self._buckets.clear()
