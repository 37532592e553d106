"""The thread that mends: what other processes wrote while nobody could hear them, and what an outage left behind.

After an outage it sees to it that the store is in step with the database before anybody in this process believes it.
"""

import threading
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING

from django.db import DatabaseError, InterfaceError, connections

from cachelayer.background import heartbeat
from cachelayer.ops.statistics import Reporter
from cachelayer.stores.base import QUARANTINE_S, StoreDown, StoreFull, StoreSlow
from cachelayer.write import outbox
from logs.contexts import Context

if TYPE_CHECKING:
    from cachelayer.runtime.runtime import CacheRuntime

LOOK_EVERY = 1.0  # seconds
RECOVER_EVERY = 0.25
REPORT_EVERY = 2.0

log = Context.CACHE.logger


class RecoveryThread:
    """Mends for a service until it is told to stop.

    `serves` says that the process answers requests: then it polls the outbox and reports what it counted. In other
    processes the thread keeps away from the database, except to recover.
    """

    def __init__(self, service: "CacheRuntime", stopped: threading.Event) -> None:
        self._service = service
        self._stopped = stopped
        self._due = threading.Event()
        self.is_server = False
        self.reporter = Reporter(service)
        self._reported = monotonic()
        self._reachable_since: float | None = None  # of a store that is not believed yet
        self._recovered_epoch = 0  # writes that nobody has believed anything after, for a moment

    def wake(self) -> None:
        """Mend now."""
        self._due.set()

    def run(self) -> None:
        """Look after things every second, and more often while the store is away."""
        while not self._stopped.is_set():
            hurried = self._due.is_set()
            self._due.clear()
            try:
                self._tick(0.0 if hurried else heartbeat.RENEW_AFTER)
            except (StoreDown, StoreFull) as error:
                self._reachable_since = None
                self._failed(error)
            except (DatabaseError, InterfaceError) as error:
                log.warning("Cache outbox cannot be read: %s", type(error).__name__)
            except Exception as error:
                log.exception("Cache mender FAILED; the database answers until it does not")
                self._service.counters.count("failed rounds")
                self._service.breaker.trip(error)
            self._due.wait(LOOK_EVERY if self._service.breaker.is_closed else RECOVER_EVERY)

    def _failed(self, error: Exception) -> None:
        if isinstance(error, StoreSlow):
            self._service.breaker.record_failure(error)
        else:
            self._service.breaker.trip(error)

    def _tick(self, older_than: float) -> None:
        if self._service.breaker.is_closed:
            heartbeat.renew_intents(self._service, older_than)
        else:
            self._recover()
        if self.is_server:
            self._with_database(self._serve)

    def _serve(self) -> None:
        outbox.drain(self._service)
        if monotonic() - self._reported >= REPORT_EVERY:
            self._reported = monotonic()
            self.reporter.report()

    def _recover(self) -> None:
        """Get in step with the database, then believe the store again.

        Others may be about to commit what they could not announce. If a write is known to have been unheard, nobody is
        to believe anything for a moment; if only this process had no answer, it alone waits as long.

        Raises:
            StoreDown: it is still away.
            DatabaseError: the outbox cannot be read, so nothing is known to be in step.
        """
        service, now = self._service, monotonic()
        unheard = service.unannounced_count  # asked once: what goes unheard from now on is for the next round
        is_quarantine = unheard != self._recovered_epoch
        service.store.reinitialize(quarantine=is_quarantine)
        self._reachable_since = self._reachable_since or now
        heartbeat.renew_intents(service, 0.0)
        if not is_quarantine and now - self._reachable_since < QUARANTINE_S:
            return
        self._with_database(lambda: outbox.drain(service))
        self._recovered_epoch, self._reachable_since = unheard, None
        service.breaker.reset()
        if service.unannounced_count == unheard:
            service.counters.count("recoveries")
        else:
            service.breaker.trip(StoreDown("a write went unheard meanwhile"))

    def _with_database(self, act: Callable[[], object]) -> None:
        """Use the database from this thread, and leave no connection behind."""
        try:
            act()
        finally:
            connections.close_all()
