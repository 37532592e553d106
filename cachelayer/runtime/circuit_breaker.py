"""The circuit breaker: while it is open, this process does not use the shared store.

Then reads use the database and fill nothing, and the recovery thread (`cachelayer.background.recovery`) tries to close
it. A write that could not be announced opens it at once. Failed reads open it after several in a row.
"""

from collections.abc import Callable
from time import monotonic

from logs.contexts import Context

FAILURES = 3  # failed reads in a row that open the breaker
FAILURE_WINDOW = 0.03  # seconds in which several failures count as one, because concurrent reads fail together

log = Context.CACHE.logger


class CircuitBreaker:
    """The state of the breaker.

    Attributes:
        is_closed: whether the store may be used. Every lookup in the shared store reads it.
    """

    def __init__(self, on_open: Callable[[], None]) -> None:
        """Start closed; `on_open` is called whenever the breaker opens."""
        self.is_closed = True
        self._on_open = on_open
        self._failures = 0
        self._failed_at = 0.0

    def record_success(self) -> None:
        """Record that the store answered."""
        self._failures = 0

    def record_failure(self, error: Exception) -> None:
        """Record that the store did not answer."""
        now = monotonic()
        if now - self._failed_at < FAILURE_WINDOW:
            return
        self._failed_at = now
        self._failures += 1
        if self._failures >= FAILURES:
            self.trip(error)
        elif self.is_closed:
            log.warning("Cache has NO ANSWER: %s", error, exc_info=error)

    def trip(self, error: Exception) -> None:
        """Open the breaker."""
        if self.is_closed:
            self.is_closed = False
            self._on_open()
            log.warning("Cache DEGRADED: %s; reads go to the database until it is back", error, exc_info=error)

    def reset(self) -> None:
        """Close the breaker."""
        if not self.is_closed:
            self._failures = 0
            self.is_closed = True
            log.warning("Cache RECOVERED")
