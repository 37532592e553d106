"""How a worker learns that there is something to do: at once where that can be told, else by looking now and then.

On PostgreSQL a word is sent to whoever listens; inside one process an event is set. A lost word costs as long as
`POLL`, and nothing else.
"""

import threading
from contextlib import suppress
from typing import Any

import psycopg
from django.db import Error as DatabaseError
from django.db import connection, transaction

CHANNEL = "whatsai_inbox"
POLL_SECONDS = 1.0  # seconds

_local_event = threading.Event()
_delegate: threading.Event | None = None


def notify() -> None:
    """Tell all workers, once what is being written is committed."""
    transaction.on_commit(_tell)


def notify_local() -> None:
    """Tell the workers of this process."""
    _local_event.set()


def notify_postgres() -> None:
    """Tell the workers of other processes.

    Raises:
        DatabaseError, InterfaceError: the database does not answer.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"NOTIFY {CHANNEL}")


def delegate_to(event: threading.Event | None) -> None:
    """Let another thread tell others, which waits for this event; None: whoever has something to tell does it."""
    global _delegate  # noqa: PLW0603 - of this process
    _delegate = event


def is_left_to_another() -> bool:
    """Whether another thread tells others."""
    return _delegate is not None


def _tell() -> None:
    notify_local()
    if _delegate is not None:
        _delegate.set()
    else:
        notify_postgres()


def reset_after_fork() -> None:
    """Start anew, in a process that was forked off: threads of its parent may have held the event's lock."""
    global _local_event, _delegate
    _local_event, _delegate = threading.Event(), None


class WorkerWaiter:
    """Waits for a word. Its connection is its own: a server that goes away is noticed, and asked again."""

    def __init__(self) -> None:
        self._own: Any = None  # a connection of Django's beside the thread's

    def wait(self, seconds: float) -> None:
        """Wait until there may be something to do, or for so many seconds."""
        if connection.vendor == "postgresql":
            self._listen(seconds)
        else:
            _local_event.wait(seconds)
        _local_event.clear()

    def close(self) -> None:
        """Close the connection."""
        own, self._own = self._own, None
        if own is not None:
            with suppress(DatabaseError, psycopg.Error):
                own.close()

    def _listen(self, seconds: float) -> None:
        try:
            if self._own is None:
                self._own = connection.copy()
                with self._own.cursor() as cursor:
                    cursor.execute(f"LISTEN {CHANNEL}")
                return  # what was stored before now, it was not told
            for wait in (seconds, 0):  # all that has come by then says the same
                list(self._own.connection.notifies(timeout=wait, stop_after=1))
        except (DatabaseError, psycopg.Error):
            self.close()
            _local_event.wait(seconds)
