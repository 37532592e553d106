"""The recovery thread touches the tags in the outbox, and makes the store usable again after an outage.

After an outage, readers of this process do not use the store until the recovery thread has touched all tags that the
store has missed.
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

INTERVAL = 1.0  # seconds between two runs of the recovery thread while the store is in use
RECOVERY_INTERVAL = 0.25  # seconds between two runs of the recovery thread during an outage
REPORT_INTERVAL = 2.0  # seconds between two reports of the counters to the database

log = Context.CACHE.logger


class RecoveryThread(PeriodicThread):
    """The recovery thread of one `CacheRuntime`.

    Attributes:
        is_server: whether the process answers requests. In a server process, the thread also polls the outbox and
            reports the counters. In other processes, the thread uses the database only after an outage.
    """

    def __init__(self, runtime: CacheRuntime, stopped: threading.Event) -> None:
        super().__init__(stopped)
        self._runtime = runtime
        self.is_server = False
        self.reporter = Reporter(runtime)
        self._reported_at = monotonic()
        self._reachable_since: float | None = None  # when a store that is not used yet began to answer
        self._recovered_epoch = 0  # `unannounced_count` of the breaker at the last recovery

    def tick(self, *, woken: bool) -> float:
        """Renew intents, or recover from an outage; in a server process, also apply the outbox and report counters."""
        try:
            self._run_once(0.0 if woken else heartbeat.RENEW_AFTER)
        except (StoreDown, StoreFull) as error:
            self._reachable_since = None
            self._on_store_error(error)
            return RECOVERY_INTERVAL
        except (DatabaseError, InterfaceError) as error:
            log.warning("Cache outbox UNREADABLE: %s", type(error).__name__)
        except Exception as error:
            log.exception("Cache recovery FAILED; reads use the database until it succeeds")
            self._runtime.counters.count("background errors")
            self._runtime.breaker.trip(error)
        return INTERVAL if self._runtime.breaker.is_closed else RECOVERY_INTERVAL

    def _on_store_error(self, error: Exception) -> None:
        if isinstance(error, StoreSlow):
            self._runtime.breaker.record_failure(error)
        else:
            self._runtime.breaker.trip(error)

    def _run_once(self, renew_older_than: float) -> None:
        if self._runtime.ownership is not None:
            self._with_database(self._runtime.ownership.renew_if_due)
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
        """Touch the tags that the store has missed, then close the circuit breaker.

        Another process may be about to commit a write whose tags the store does not know. If this process knows that
        the store has missed tags of a write, the store keeps all processes from using entries for two seconds (the
        quarantine). Otherwise, only this process waits for two seconds before it uses the store.

        Raises:
            StoreDown: the store still does not answer.
            DatabaseError: the outbox cannot be read, so the store may have missed tags.
        """
        runtime, now = self._runtime, monotonic()
        epoch = runtime.breaker.unannounced_count  # later unannounced writes need another recovery
        needs_quarantine = epoch != self._recovered_epoch
        with runtime.breaker.attempt_write():
            runtime.store.reinitialize(quarantine=needs_quarantine)
        self._reachable_since = self._reachable_since or now
        heartbeat.renew_intents(runtime, 0.0)
        if not needs_quarantine and now - self._reachable_since < QUARANTINE_S:
            return
        self._with_database(lambda: outbox.drain(runtime))
        self._recovered_epoch, self._reachable_since = epoch, None
        if runtime.breaker.reset(epoch):
            runtime.counters.count("recoveries")

    def _with_database(self, work: Callable[[], object]) -> None:
        """Call `work`, and then close the database connections of this thread."""
        try:
            work()
        finally:
            connections.close_all()
