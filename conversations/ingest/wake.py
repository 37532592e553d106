"""How a worker learns that there is something to do: at once where that can be told, else by looking now and then.

On PostgreSQL a word is sent to whoever listens, at most a few a second from each process; inside one process an event
is set. A lost word costs as long as `POLL`, and nothing else.
"""

import threading
from contextlib import suppress
from time import monotonic
from typing import Any

import psycopg
from django.db import connection

CHANNEL = "whatsai_inbox"
POLL = 1.0  # seconds
SAY_EVERY = 0.1

_here = threading.Event()
_said_at = 0.0


def tell() -> None:
    """Tell workers that an event was stored."""
    global _said_at  # noqa: PLW0603 - of this process
    _here.set()
    now = monotonic()
    if connection.vendor == "postgresql" and now - _said_at >= SAY_EVERY:
        _said_at = now
        with connection.cursor() as cursor:
            cursor.execute(f"NOTIFY {CHANNEL}")


class Waiter:
    """Waits for a worker. Its connection is its own: a server that goes away is noticed, and asked again."""

    def __init__(self) -> None:
        self._listening: psycopg.Connection[Any] | None = None

    def wait(self, seconds: float) -> None:
        """Wait until there may be something to do, or for so many seconds."""
        if connection.vendor != "postgresql":
            _here.wait(seconds)
            _here.clear()
            return
        try:
            for _ in self._listen().notifies(timeout=seconds, stop_after=1):
                pass
        except psycopg.Error:
            self.close()
            _here.wait(min(seconds, POLL))

    def interrupt(self) -> None:
        """End the waiting of this process' workers, as far as they can be reached."""
        _here.set()

    def close(self) -> None:
        """Close the connection."""
        if self._listening is not None:
            with suppress(psycopg.Error):
                self._listening.close()
            self._listening = None

    def _listen(self) -> "psycopg.Connection[Any]":
        if self._listening is None:
            parameters = connection.get_connection_params()
            parameters = {name: parameters[name] for name in parameters if name not in _DJANGOS}
            self._listening = psycopg.connect(**parameters, autocommit=True)
            self._listening.execute(f"LISTEN {CHANNEL}")
        return self._listening


_DJANGOS = ("cursor_factory", "context", "prepare_threshold")
