"""While the circuit breaker is open, this process does not use the shared store.

While the breaker is open, reads use the database and store nothing in the cache, and the recovery thread
(`cachelayer.background.recovery`) tries to close the breaker. Reads open the breaker if the store fails several times
in a row, and at once if it holds what no process stores.

A store may answer reads although it does not accept writes, so a hit says nothing about writes. This process uses
entries of the store only for `TRUST_S` seconds after the store has accepted one of its writes; the heartbeat sends one
several times a second. A write that the store does not accept waits for as long before it goes on: by then no process
uses entries of the store any more.

If a process with a heartbeat has sent no accepted write for `TRUST_S` seconds, another process may have recorded such a
write in the outbox, so the breaker opens. Before its first heartbeat a process uses no entries, and rarely sends
writes: the time between two of these writes says nothing about the store.

The tags of a write that the store has not accepted are in the outbox, which is read before the breaker closes. A write
that is counted in between keeps the breaker open; a write that is counted later opens it again.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from cachelayer.stores.base import StoreDown, StoreRefuses, StoreSlow, StoreTampered
from logs.contexts import Context

FAILURES = 3  # number of failures in a row that open the breaker
FAILURE_WINDOW = 0.03  # seconds in which several failures count as one, because reads in several threads fail together

TRUST_S = 1.0  # seconds after a write that the store accepted in which this process may use the store's entries

log = Context.CACHE.logger


class CircuitBreaker:
    """Keeps whether this process may use the shared store.

    Attributes:
        is_closed: whether this process may use the store. Lookups in the shared store read `is_closed` first.
        trusted_until: the time on the monotonic clock until which entries of the store may be used.
        writes_fail_since: the time on the monotonic clock since which the store has accepted no write, although it may
            answer reads; None if it accepts writes.
        has_heartbeat: whether the store has accepted a write of this process' heartbeat.
        unannounced_count: how many times the store has not accepted a write of this process.
    """

    def __init__(self, on_open: Callable[[], None]) -> None:
        """Make a closed breaker, which calls `on_open` each time it opens."""
        self._on_open = on_open
        self.start(trusted_until=0.0)

    def start(self, *, trusted_until: float) -> None:
        """Close the breaker, and forget the store that this process has used before."""
        self.is_closed = True
        self._failures = 0
        self._failed_at = 0.0
        self.trusted_until = trusted_until
        self.writes_fail_since: float | None = None
        self.has_heartbeat = False
        self.unannounced_count = 0
        self._lock = threading.Lock()

    @property
    def is_trusted(self) -> bool:
        """Whether entries that the store returned before this call may be used."""
        return self.is_closed and monotonic() < self.trusted_until

    @property
    def rejects_writes(self) -> bool:
        """Whether every write that this process has sent for `TRUST_S` seconds has failed."""
        return self.writes_fail_since is not None and monotonic() - self.writes_fail_since >= TRUST_S

    @contextmanager
    def attempt_write(self) -> Iterator[None]:
        """Record whether the store accepts the write that the block sends."""
        sent_at = monotonic()
        try:
            yield
        except (StoreSlow, StoreRefuses):
            self.writes_fail_since = self.writes_fail_since or sent_at
            raise
        self.writes_fail_since = None
        if self.is_closed and self.has_heartbeat and self.trusted_until <= sent_at:
            self.trip(StoreDown("it accepted no write for a second; writes of that time may be in the outbox"))
        self.trusted_until = max(self.trusted_until, sent_at + TRUST_S)

    def record_success(self) -> None:
        """Record that the store answered a read, and forget earlier failures."""
        self._failures = 0

    def record_failure(self, error: Exception) -> None:
        """Record that the store did not answer; open the breaker after several failures in a row."""
        if isinstance(error, StoreTampered):
            self.trip(error)
            return
        now = monotonic()
        if now - self._failed_at < FAILURE_WINDOW:
            return
        self._failed_at = now
        self._failures += 1
        if self._failures >= FAILURES:
            self.trip(error)
        elif self.is_closed:
            log.warning("Cache UNANSWERED: %s", error, exc_info=error)

    def count_unannounced(self, error: Exception) -> None:
        """Open the breaker because the store has not accepted a write; call this before the write commits."""
        with self._lock:
            self.unannounced_count += 1
        self.trip(error)

    def trip(self, error: Exception) -> None:
        """Open the breaker."""
        if self.is_closed:
            self.is_closed = False
            self._on_open()
            log.warning("Cache DEGRADED: %s; reads go to the database until it is back", error, exc_info=error)

    def reset(self, unannounced_count: int) -> bool:
        """Close the breaker, unless more than `unannounced_count` writes are counted; return whether it closed."""
        with self._lock:
            closes = not self.is_closed and self.unannounced_count == unannounced_count
            if closes:
                self._failures = 0
                self.is_closed = True
        if closes:
            log.warning("Cache RECOVERED")
        return closes
