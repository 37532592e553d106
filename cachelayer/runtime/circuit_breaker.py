"""The circuit breaker: whether this process believes the shared tier now.

While it does not, reads go to the database and nothing is stored; the keeper (`keeper.py`) tries to recover. A write
that could not be announced opens it at once, reads only after a few failures on end.
"""

from collections.abc import Callable
from time import monotonic

from logs.contexts import Context

FAILURES = 3  # reads in a row
APART = 0.03  # seconds; those that ask together fail together

log = Context.CACHE.logger


class CircuitBreaker:
    """The breaker's state. `usable` is read on every path past the local tier."""

    def __init__(self, on_open: Callable[[], None]) -> None:
        """Start closed; `on_open` is called when that ends."""
        self.is_closed = True
        self._on_open = on_open
        self._failures = 0
        self._failed_at = 0.0

    def record_success(self) -> None:
        """Note that the store has answered."""
        self._failures = 0

    def record_failure(self, error: Exception) -> None:
        """Note that a read had no answer."""
        now = monotonic()
        if now - self._failed_at < APART:
            return
        self._failed_at = now
        self._failures += 1
        if self._failures >= FAILURES:
            self.trip(error)
        elif self.is_closed:
            log.warning("Cache has NO ANSWER: %s", error, exc_info=error)

    def trip(self, error: Exception) -> None:
        """Stop believing the store."""
        if self.is_closed:
            self.is_closed = False
            self._on_open()
            log.warning("Cache DEGRADED: %s; reads go to the database until it is back", error, exc_info=error)

    def reset(self) -> None:
        """Believe the store again."""
        if not self.is_closed:
            self._failures = 0
            self.is_closed = True
            log.warning("Cache RECOVERED")
