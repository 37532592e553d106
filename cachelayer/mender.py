"""The thread that mends: what other processes wrote while nobody could hear them, and what an outage left behind.

After an outage it sees to it that the store is in step with the database before anybody in this process believes it.
It keeps the intents of long transactions alive, and ends what could not be ended.
"""

import threading
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING

from django.db import DatabaseError, InterfaceError, connections

from cachelayer import outbox
from cachelayer.statistics import Reporter
from cachelayer.store.base import StoreDown, StoreFull, StoreSlow
from logs.contexts import Context

if TYPE_CHECKING:
    from cachelayer.service import Service

LOOK_EVERY = 1.0  # seconds
RECOVER_EVERY = 0.25
RENEW_AFTER = 8.0  # of the 30 that an intent lives
REPORT_EVERY = 2.0

log = Context.CACHE.logger


class Mender:
    """Mends for a service until it is told to stop.

    `serves` says that the process answers requests: then it polls the outbox and reports what it counted. In other
    processes the thread keeps away from the database, except to recover.
    """

    def __init__(self, service: "Service", stopped: threading.Event) -> None:
        self._service = service
        self._stopped = stopped
        self._due = threading.Event()
        self.serves = False
        self.reporter = Reporter(service)
        self._reported = monotonic()

    def hurry(self) -> None:
        """Mend now."""
        self._due.set()

    def run(self) -> None:
        """Look after things every second, and more often while the store is away."""
        while not self._stopped.is_set():
            hurried = self._due.is_set()
            self._due.clear()
            try:
                self._mend(0.0 if hurried else RENEW_AFTER)
            except StoreSlow as error:
                self._service.link.failed(error)
            except (StoreDown, StoreFull) as error:
                self._service.link.open(error)
            except (DatabaseError, InterfaceError) as error:
                log.warning("Cache outbox cannot be read: %s", type(error).__name__)
            self._due.wait(LOOK_EVERY if self._service.link.usable else RECOVER_EVERY)

    def _mend(self, older_than: float) -> None:
        service = self._service
        if service.link.usable:
            service.store.probe()
            service.link.succeeded()
            self._renew(older_than)
        else:
            self._recover()
        if self.serves:
            self._with_database(self._serve)

    def _serve(self) -> None:
        outbox.drain(self._service)
        if monotonic() - self._reported >= REPORT_EVERY:
            self._reported = monotonic()
            self.reporter.report()

    def _recover(self) -> None:
        """Get in step with the database, then believe the store again.

        Raises:
            StoreDown: it is still away.
            DatabaseError: the outbox cannot be read, so nothing is known to be in step.
        """
        service = self._service
        # Others may be about to commit what they could not announce: nobody believes anything for a moment.
        service.store.restore(quarantine=True)
        self._renew(0.0)
        self._with_database(lambda: outbox.drain(service))
        service.counters.count("recoveries")
        service.link.close()

    def _renew(self, older_than: float) -> None:
        service = self._service
        for write in list(service.live):
            write.renew(older_than)
        while service.unfinished:
            write = service.unfinished[0]
            service.store.end(write.id, list(write.tags))
            service.unfinished.popleft()

    def _with_database(self, act: Callable[[], object]) -> None:
        """Use the database from this thread, and leave no connection behind."""
        try:
            act()
        finally:
            connections.close_all()
