"""The background thread of a web process, which does the work that no webhook request should wait for.

The thread sends NOTIFY to the workers of other processes at most ten times a second, because the commit of each NOTIFY
takes a lock of the whole PostgreSQL server. The background thread also measures the queue depth, and flushes counters
and the times at which API tokens were used.
"""

import logging
import threading
from collections.abc import Callable
from time import monotonic

from django.db import connection

from cachelayer.ops import histogram_totals
from conversations.access import use
from conversations.ingest import metrics, notify
from conversations.ingest.errors import is_transient_db_error, traceback_extra
from conversations.ingest.inbox.overload import REFRESH_SECONDS, queue_depth
from logs.contexts import Context
from logs.periodic import PeriodicThread

NOTIFY_SECONDS = 0.1  # minimum seconds between two NOTIFY statements
FLUSH_SECONDS = 2.0
USE_SECONDS = 60.0  # how often the times at which tokens were used are flushed
log = Context.WEBHOOK.logger


class WebBackgroundThread(PeriodicThread):
    """The background thread of a web process; `notify` wakes the thread to send NOTIFY."""

    min_interval = NOTIFY_SECONDS

    def __init__(self) -> None:
        super().__init__(threading.Event())
        self._tasks = [
            PeriodicTask(queue_depth.refresh, REFRESH_SECONDS / 2),
            PeriodicTask(metrics.flush, FLUSH_SECONDS),
            PeriodicTask(histogram_totals.flush, FLUSH_SECONDS),
            PeriodicTask(use.flush, USE_SECONDS),
        ]

    def run(self) -> None:
        """Run the thread's tasks until `stop` is called, then flush a last time."""
        notify.delegate_to(self._woken)
        super().run()
        notify.delegate_to(None)
        run_safely(metrics.flush)
        run_safely(use.flush)
        run_safely(histogram_totals.flush)
        connection.close()

    def tick(self, *, woken: bool) -> float:
        """Send NOTIFY if the thread was woken, and run the due tasks; return the seconds until the next tick."""
        if woken:
            run_safely(notify.notify_postgres)
        for task in self._tasks:
            task.run_if_due()
        return REFRESH_SECONDS / 4

    def stop(self) -> None:
        """Make `run` return."""
        self._stopped.set()
        self.wake()


class PeriodicTask:
    """A function that is called at most once every `seconds`."""

    def __init__(self, function: Callable[[], None], seconds: float) -> None:
        self._function = function
        self._seconds = seconds
        self._due = monotonic()

    def run_if_due(self) -> None:
        """Call the function if `seconds` have passed since its last call, and log its error."""
        if monotonic() >= self._due:
            self._due = monotonic() + self._seconds
            run_safely(self._function)


def run_safely(function: Callable[[], None]) -> None:
    """Call a function and log its error. A database outage is logged at DEBUG, because webhook requests report it."""
    try:
        function()
    except Exception as error:  # noqa: BLE001 - the thread must survive any error
        level = logging.DEBUG if is_transient_db_error(error) else logging.ERROR
        log.log(level, "Background FAILED: %s", type(error).__name__, extra=traceback_extra(error))
        connection.close()
