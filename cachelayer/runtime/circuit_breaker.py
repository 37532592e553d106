"""While the circuit breaker is open, this process does not use the shared store.

While the breaker is open, reads use the database and store nothing in the cache, and the recovery thread
(`cachelayer.background.recovery`) tries to close the breaker. The first write that the store does not accept opens the
breaker. Reads open the breaker only if the store fails several times in a row.
"""

from collections.abc import Callable
from time import monotonic

from logs.contexts import Context

FAILURES = 3  # number of failures in a row that open the breaker
FAILURE_WINDOW = 0.03  # seconds in which several failures count as one, because reads in several threads fail together

log = Context.CACHE.logger


class CircuitBreaker:
    """Keeps whether this process may use the shared store.

    Attributes:
        is_closed: whether this process may use the store. Lookups in the shared store read `is_closed` first.
    """

    def __init__(self, on_open: Callable[[], None]) -> None:
        """Make a closed breaker, which calls `on_open` each time it opens."""
        self.is_closed = True
        self._on_open = on_open
        self._failures = 0
        self._failed_at = 0.0

    def record_success(self) -> None:
        """Record that the store answered, and forget earlier failures."""
        self._failures = 0

    def record_failure(self, error: Exception) -> None:
        """Record that the store did not answer; open the breaker after several failures in a row."""
        now = monotonic()
        if now - self._failed_at < FAILURE_WINDOW:
            return
        self._failed_at = now
        self._failures += 1
        if self._failures >= FAILURES:
            self.trip(error)
        elif self.is_closed:
            log.warning("Cache UNANSWERED: %s", error, exc_info=error)

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
