"""The recovery thread: it applies the outbox, and after an outage brings the store in step with the database.

No reader of this process uses the store again before that is done.
"""

import threading
from collections.abc import Callable
from time import monotonic

from django.db import DatabaseError, InterfaceError, connections

from cachelayer.background import heartbeat
from cachelayer.ops.statistics import Reporter
from cachelayer.runtime.runtime import CacheRuntime
from cachelayer.stores.base import QUARANTINE_S, StoreDown, StoreFull, StoreSlow
from cachelayer.write import outbox
from logs.contexts import Context
from logs.periodic import PeriodicThread

INTERVAL = 1.0  # seconds; likewise below
RECOVERY_INTERVAL = 0.25
REPORT_INTERVAL = 2.0

log = Context.CACHE.logger


class RecoveryThread(PeriodicThread):
    """The recovery thread of one runtime.

    Attributes:
        is_server: whether the process answers requests. Then the thread polls the outbox and reports the counters;
            in other processes it uses the database only to recover.
    """

    def __init__(self, runtime: CacheRuntime, stopped: threading.Event) -> None:
        super().__init__(stopped)
        self._runtime = runtime
        self.is_server = False
        self.reporter = Reporter(runtime)
        self._reported_at = monotonic()
        self._reachable_since: float | None = None  # of a store that is not in use yet
        self._recovered_epoch = 0  # the unannounced writes that the last recovery took into account

    def tick(self, *, woken: bool) -> float:
        """Renew intents or recover, then serve; during an outage more often."""
        try:
            self._run_once(0.0 if woken else heartbeat.RENEW_AFTER)
        except (StoreDown, StoreFull) as error:
            self._reachable_since = None
            self._on_store_error(error)
        except (DatabaseError, InterfaceError) as error:
            log.warning("Cache outbox UNREADABLE: %s", type(error).__name__)
        except Exception as error:
            log.exception("Cache recovery FAILED; reads use the database until it succeeds")
            self._runtime.counters.count("failed rounds")
            self._runtime.breaker.trip(error)
        return INTERVAL if self._runtime.breaker.is_closed else RECOVERY_INTERVAL

    def _on_store_error(self, error: Exception) -> None:
        if isinstance(error, StoreSlow):
            self._runtime.breaker.record_failure(error)
        else:
            self._runtime.breaker.trip(error)

    def _run_once(self, renew_older_than: float) -> None:
        if self._runtime.breaker.is_closed:
            heartbeat.renew_intents(self._runtime, renew_older_than)
        else:
            self._recover()
        if self.is_server:
            self._with_database(self._serve)

    def _serve(self) -> None:
        outbox.drain(self._runtime)
        if monotonic() - self._reported_at >= REPORT_INTERVAL:
            self._reported_at = monotonic()
            self.reporter.report()

    def _recover(self) -> None:
        """Bring the store in step with the database, then close the breaker.

        Another process may be about to commit a write that it could not announce. If such a write is known, all
        processes are kept from using entries for a moment (quarantine). If only this process had no answer, only this
        process waits that long.

        Raises:
            StoreDown: the store is still away.
            DatabaseError: the outbox cannot be read, so nothing is known to be in step.
        """
        runtime, now = self._runtime, monotonic()
        epoch = runtime.unannounced_count  # read once: later unannounced writes are for the next round
        needs_quarantine = epoch != self._recovered_epoch
        runtime.store.reinitialize(quarantine=needs_quarantine)
        self._reachable_since = self._reachable_since or now
        heartbeat.renew_intents(runtime, 0.0)
        if not needs_quarantine and now - self._reachable_since < QUARANTINE_S:
            return
        self._with_database(lambda: outbox.drain(runtime))
        self._recovered_epoch, self._reachable_since = epoch, None
        runtime.breaker.reset()
        if runtime.unannounced_count == epoch:
            runtime.counters.count("recoveries")
        else:
            runtime.breaker.trip(StoreDown("a write could not be announced meanwhile"))

    def _with_database(self, work: Callable[[], object]) -> None:
        """Use the database in this thread, and leave no connection behind."""
        try:
            work()
        finally:
            connections.close_all()
