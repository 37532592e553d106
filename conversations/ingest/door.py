"""What a server process does beside its requests, so that a webhook costs one insert and nothing else.

A thread tells the workers of other processes, at most ten times a second, for each word takes a lock of the whole
server at its commit; looks how much waits; and adds what was counted to everybody's sums.
"""

import threading
from collections.abc import Callable
from time import monotonic

from django.db import Error as DatabaseError
from django.db import connection

from conversations.ingest import counts, wake
from conversations.ingest.backlog import LOOK_EVERY, backlog
from logs.contexts import Context

TELL_EVERY = 0.1  # seconds
ADD_EVERY = 2.0
log = Context.WEBHOOK.logger


class Door:
    """The thread's work. `run` returns once `stop` was called."""

    def __init__(self) -> None:
        self._told = threading.Event()
        self._stopped = threading.Event()
        self._added_at = monotonic()

    def run(self) -> None:
        """Work until told to stop, and add up what was counted last."""
        wake.leave_it_to(self._told)
        while not self._stopped.is_set():
            if self._told.wait(LOOK_EVERY / 2):
                self._told.clear()
                self._try(wake.tell_others)
            self._try(backlog.look)
            if monotonic() - self._added_at >= ADD_EVERY:
                self._added_at = monotonic()
                self._try(counts.flush)
            self._stopped.wait(TELL_EVERY)
        wake.leave_it_to(None)
        self._try(counts.flush)
        connection.close()

    def stop(self) -> None:
        """Have it stop."""
        self._stopped.set()
        self._told.set()

    def _try(self, work: Callable[[], None]) -> None:
        """Do something, or let it be until next time: requests find out by themselves that there is no database."""
        try:
            work()
        except DatabaseError as error:
            log.debug("Door: %s", type(error).__name__)
            connection.close()
