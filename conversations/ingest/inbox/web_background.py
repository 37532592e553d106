"""The web process' background thread. It takes over work that would otherwise cost each webhook more than one insert.

The thread sends NOTIFY to the workers of other processes at most ten times a second, because the commit of each NOTIFY
takes a server-wide lock. It also measures the queue depth and flushes the counters.
"""

import logging
import threading
from collections.abc import Callable
from time import monotonic

from django.db import connection

from conversations.ingest import metrics, notify
from conversations.ingest.errors import is_transient_db_error, traceback_extra
from conversations.ingest.inbox.overload import REFRESH_SECONDS, queue_depth
from logs.contexts import Context
from logs.periodic import PeriodicThread

NOTIFY_SECONDS = 0.1  # minimum time between two NOTIFY statements
FLUSH_SECONDS = 2.0
log = Context.WEBHOOK.logger


class WebBackgroundThread(PeriodicThread):
    """The body of the thread; a notification for workers wakes it."""

    min_interval = NOTIFY_SECONDS

    def __init__(self) -> None:
        super().__init__(threading.Event())
        self._tasks = [
            PeriodicTask(queue_depth.refresh, REFRESH_SECONDS / 2),
            PeriodicTask(metrics.flush, FLUSH_SECONDS),
        ]

    def run(self) -> None:
        """Work until `stop` is called, then flush the counters a last time."""
        notify.delegate_to(self._woken)
        super().run()
        notify.delegate_to(None)
        _run_safely(metrics.flush)
        connection.close()

    def tick(self, *, woken: bool) -> float:
        """Notify the workers if there is a notification, and run the tasks that are due."""
        if woken:
            _run_safely(notify.notify_postgres)
        for task in self._tasks:
            task.run_if_due()
        return REFRESH_SECONDS / 4

    def stop(self) -> None:
        """Make `run` return."""
        self._stopped.set()
        self.wake()


class PeriodicTask:
    """A function that runs at most once in `seconds`."""

    def __init__(self, function: Callable[[], None], seconds: float) -> None:
        self._function = function
        self._seconds = seconds
        self._due = monotonic()

    def run_if_due(self) -> None:
        """Run the function if it is due; log its errors."""
        if monotonic() >= self._due:
            self._due = monotonic() + self._seconds
            _run_safely(self._function)


def _run_safely(function: Callable[[], None]) -> None:
    """Run a function and log its error. An unavailable database is logged at DEBUG, because requests report it."""
    try:
        function()
    except Exception as error:  # noqa: BLE001 - the thread must survive any error
        level = logging.DEBUG if is_transient_db_error(error) else logging.ERROR
        log.log(level, "Background FAILED: %s", type(error).__name__, extra=traceback_extra(error))
        connection.close()
