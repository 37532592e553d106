"""Wakes workers when webhook events are stored.

A worker in the process that stores the event waits for a `threading.Event`. Workers in other processes receive a
PostgreSQL NOTIFY. A lost notification only delays events, because workers also poll every `POLL_SECONDS`.
"""

import threading
from contextlib import suppress
from typing import Any

import psycopg
from django.db import Error as DatabaseError
from django.db import connection, transaction

CHANNEL = "whatsai_inbox"
POLL_SECONDS = 1.0

_local_event = threading.Event()
_delegate: threading.Event | None = None


def notify() -> None:
    """Notify all workers once the current transaction commits."""
    transaction.on_commit(_notify_all)


def notify_local() -> None:
    """Notify the workers of this process."""
    _local_event.set()


def notify_postgres() -> None:
    """Notify the workers of other processes, if the database is PostgreSQL.

    Raises:
        DatabaseError, InterfaceError: the database rejects the statement.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"NOTIFY {CHANNEL}")


def delegate_to(event: threading.Event | None) -> None:
    """Make `notify` set `event`, for a thread that calls `notify_postgres`; with None, `notify` calls it itself."""
    global _delegate  # noqa: PLW0603 - each process has one delegate event
    _delegate = event


def _notify_all() -> None:
    notify_local()
    if _delegate is not None:
        _delegate.set()
    else:
        notify_postgres()


def reset_after_fork() -> None:
    """Replace the `threading.Event` in a forked child, because a parent's thread may have held the event's lock."""
    global _local_event, _delegate
    _local_event, _delegate = threading.Event(), None


class WorkerWaiter:
    """Lets a worker wait for notifications, on PostgreSQL with a separate connection that is reopened if it breaks."""

    def __init__(self) -> None:
        self._connection: Any = None  # a Django connection used only for LISTEN, or None

    def wait(self, seconds: float) -> None:
        """Wait until a notification for workers arrives, at most `seconds`."""
        if connection.vendor == "postgresql":
            self._listen(seconds)
        else:
            _local_event.wait(seconds)
        _local_event.clear()

    def close(self) -> None:
        """Close the connection that listens for notifications."""
        listening, self._connection = self._connection, None
        if listening is not None:
            with suppress(DatabaseError, psycopg.Error):
                listening.close()

    def _listen(self, seconds: float) -> None:
        try:
            if self._connection is None:
                self._connection = connection.copy()
                with self._connection.cursor() as cursor:
                    cursor.execute(f"LISTEN {CHANNEL}")
                return  # events stored before LISTEN wake no worker, so the worker must look for them now
            for timeout in (seconds, 0):  # the second call, with timeout 0, discards queued notifications
                list(self._connection.connection.notifies(timeout=timeout, stop_after=1))
        except (DatabaseError, psycopg.Error):
            self.close()
            _local_event.wait(seconds)
