"""The heartbeat thread renews the write intents of this process in the store.

Several times a second, the heartbeat checks that the store accepts writes and has not been replaced, renews the intents
of long transactions, and releases the intents of ended writes that could not be released before. It also removes
expired entries of the local cache. The heartbeat never uses the database, so that a database lock cannot stop it.
"""

import threading

from cachelayer.runtime.runtime import CacheRuntime
from cachelayer.stores.base import StoreDown, StoreFull, StoreSlow
from logs.contexts import Context
from logs.periodic import PeriodicThread

INTERVAL = 0.2  # seconds between two runs of the heartbeat
RENEW_AFTER = 8.0  # seconds after which an intent is sent again; the store forgets an intent after 30 seconds

log = Context.CACHE.logger


class LeaseRenewer(PeriodicThread):
    """The heartbeat thread of one `CacheRuntime`."""

    def __init__(self, runtime: CacheRuntime, stopped: threading.Event) -> None:
        super().__init__(stopped)
        self._runtime = runtime

    def tick(self, *, woken: bool) -> float:
        """Check that the store accepts writes, and renew old intents, or all intents if the thread was woken."""
        self._runtime.local.remove_expired()
        breaker = self._runtime.breaker
        try:
            if breaker.is_closed:  # while the breaker is open, the recovery thread renews the intents
                self._runtime.check_store()
                renew_intents(self._runtime, 0.0 if woken else RENEW_AFTER)
        except StoreSlow as error:
            if breaker.rejects_writes:
                breaker.trip(error)
        except (StoreDown, StoreFull) as error:
            breaker.trip(error)
        except Exception as error:
            log.exception("Cache heartbeat FAILED; reads use the database until the recovery thread has finished")
            self._runtime.counters.count("background errors")
            breaker.trip(error)
        return INTERVAL


def renew_intents(runtime: CacheRuntime, older_than: float) -> None:
    """Send intents again that were sent over `older_than` seconds ago, and release the intents of ended writes.

    Raises:
        StoreDown: the store does not answer.
    """
    for write in runtime.in_flight:
        write.renew(older_than)
    while runtime.pending_ends:
        write = runtime.pending_ends[0]
        runtime.store.end(write.id, list(write.announced), again=True)
        runtime.pending_ends.popleft()
