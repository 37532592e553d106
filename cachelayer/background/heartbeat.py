"""The heartbeat: a thread that renews the write intents of this process in the store.

Every second it checks that the store accepts writes, renews the intents of long transactions, and ends writes whose
end could not be sent. It never uses the database, so that no database lock can stop it.
"""

import threading

from cachelayer.runtime.runtime import CacheRuntime
from cachelayer.stores.base import StoreDown, StoreFull, StoreSlow
from logs.contexts import Context
from logs.periodic import PeriodicThread

INTERVAL = 1.0  # seconds
RENEW_AFTER = 8.0  # seconds since an intent was sent; it expires after 30

log = Context.CACHE.logger


class LeaseRenewer(PeriodicThread):
    """The heartbeat of one runtime."""

    def __init__(self, runtime: CacheRuntime, stopped: threading.Event) -> None:
        super().__init__(stopped)
        self._runtime = runtime

    def tick(self, *, woken: bool) -> float:
        """Check the store and renew; when woken, renew all intents."""
        breaker = self._runtime.breaker
        try:
            if breaker.is_closed:  # otherwise the recovery thread is at work
                self._runtime.store.check_writable()
                breaker.record_success()
                renew_intents(self._runtime, 0.0 if woken else RENEW_AFTER)
        except StoreSlow as error:
            breaker.record_failure(error)
        except (StoreDown, StoreFull) as error:
            breaker.trip(error)
        except Exception as error:
            log.exception("Cache heartbeat FAILED; reads use the database until the recovery thread has finished")
            self._runtime.counters.count("failed rounds")
            breaker.trip(error)
        return INTERVAL


def renew_intents(runtime: CacheRuntime, older_than: float) -> None:
    """Send again the intents that were sent more than `older_than` seconds ago, and end the writes that are pending.

    Raises:
        StoreDown: the store does not answer.
    """
    for write in runtime.in_flight:
        write.renew(older_than)
    while runtime.pending_ends:
        write = runtime.pending_ends[0]
        runtime.store.end(write.id, list(write.announced))
        runtime.pending_ends.popleft()
