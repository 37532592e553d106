"""The thread that keeps what this process has told the store alive. It never asks the database: nobody's lock stops it.

It looks every second whether the store can still be written to, renews the intents of long transactions, and ends what
could not be ended.
"""

import threading
from typing import TYPE_CHECKING

from cachelayer.stores.base import StoreDown, StoreFull, StoreSlow
from logs.contexts import Context

if TYPE_CHECKING:
    from cachelayer.runtime.runtime import CacheRuntime

LOOK_EVERY = 1.0  # seconds
RENEW_AFTER = 8.0  # of the 30 that an intent lives

log = Context.CACHE.logger


class LeaseRenewer:
    """Beats for a service until it is told to stop."""

    def __init__(self, service: "CacheRuntime", stopped: threading.Event) -> None:
        self._service = service
        self._stopped = stopped
        self._due = threading.Event()

    def wake(self) -> None:
        """Renew everything now."""
        self._due.set()

    def run(self) -> None:
        """Beat every second."""
        while not self._stopped.is_set():
            hurried = self._due.is_set()
            self._due.clear()
            try:
                self._tick(0.0 if hurried else RENEW_AFTER)
            except StoreSlow as error:
                self._service.breaker.record_failure(error)
            except (StoreDown, StoreFull) as error:
                self._service.breaker.trip(error)
            except Exception as error:
                log.exception("Cache pulse FAILED; the database answers until the mender has looked after everything")
                self._service.counters.count("failed rounds")
                self._service.breaker.trip(error)
            self._due.wait(LOOK_EVERY)

    def _tick(self, older_than: float) -> None:
        service = self._service
        if service.breaker.is_closed:  # else the mender recovers
            service.store.check_writable()
            service.breaker.record_success()
            renew_intents(service, older_than)


def renew_intents(service: "CacheRuntime", older_than: float) -> None:
    """Announce live writes again that were last announced so many seconds ago, and end those that are to be ended.

    Raises:
        StoreDown: the store does not answer.
    """
    for write in service.in_flight:
        write.renew(older_than)
    while service.pending_ends:
        write = service.pending_ends[0]
        service.store.end(write.id, list(write.announced))
        service.pending_ends.popleft()
