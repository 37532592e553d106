"""What a server process does beside its requests, so that a webhook costs one insert and nothing else.

A thread tells the workers of other processes, at most ten times a second, for each word takes a lock of the whole
server at its commit; looks how much waits; and adds what was counted to everybody's sums.
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

NOTIFY_SECONDS = 0.1  # seconds
FLUSH_SECONDS = 2.0
log = Context.WEBHOOK.logger


class WebBackgroundThread:
    """The thread's work. `run` returns once `stop` was called."""

    def __init__(self) -> None:
        self._told = threading.Event()
        self._stopped = threading.Event()
        self._chores = [PeriodicTask(queue_depth.refresh, REFRESH_SECONDS / 2), PeriodicTask(metrics.flush, FLUSH_SECONDS)]

    def run(self) -> None:
        """Work until told to stop, and add up what was counted last."""
        notify.delegate_to(self._told)
        while not self._stopped.is_set():
            if self._told.wait(REFRESH_SECONDS / 4):
                self._told.clear()
                _try(notify.notify_postgres)
            for chore in self._chores:
                chore.run_if_due()
            self._stopped.wait(NOTIFY_SECONDS)
        notify.delegate_to(None)
        _try(metrics.flush)
        connection.close()

    def stop(self) -> None:
        """Have it stop."""
        self._stopped.set()
        self._told.set()


class PeriodicTask:
    """Something to be done every so many seconds."""

    def __init__(self, work: Callable[[], None], every: float) -> None:
        self._work = work
        self._every = every
        self._due = monotonic()

    def run_if_due(self) -> None:
        """Do it, if it is time to."""
        if monotonic() >= self._due:
            self._due = monotonic() + self._every
            _try(self._work)


def _try(work: Callable[[], None]) -> None:
    """Do something, or let it be until next time: that there is no database, requests find out by themselves."""
    try:
        work()
    except Exception as error:  # noqa: BLE001 - whatever it is, the thread is needed
        level = logging.DEBUG if is_transient_db_error(error) else logging.ERROR
        log.log(level, "Door FAILED: %s", type(error).__name__, extra=traceback_extra(error))
        connection.close()
