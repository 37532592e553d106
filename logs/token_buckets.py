"""Token buckets, which bound how often something happens: one bucket per key, such as one per instance.

Tokens are added to a bucket at a fixed rate, up to the bucket's capacity, and each action takes one token.
"""

import threading
from collections.abc import Hashable
from time import monotonic


class TokenBuckets:
    """One token bucket per key. Keys must come from a bounded set, because buckets are never removed."""

    def __init__(self, burst_seconds: float) -> None:
        """Set the capacity of all buckets: the tokens that are added in `burst_seconds`."""
        self._burst_seconds = burst_seconds
        self._buckets: dict[Hashable, tuple[float, float]] = {}  # key → (tokens, time of the last `take`)
        self._lock = threading.Lock()

    def take(self, key: Hashable, rate: float) -> bool:
        """Take one token from a bucket, which is full at first; return whether the bucket had a token.

        Args:
            key: the bucket's key.
            rate: the number of tokens added per second.
        """
        capacity, now = max(rate * self._burst_seconds, 1.0), monotonic()
        with self._lock:
            tokens, counted_at = self._buckets.get(key, (capacity, now))
            tokens = min(tokens + (now - counted_at) * rate, capacity)
            has_token = tokens >= 1
            self._buckets[key] = (tokens - has_token, now)
            return has_token

    def reset(self) -> None:
        """Fill all buckets, and replace the lock, which a thread may have held during a fork."""
        self._lock = threading.Lock()
        self._buckets.clear()
