"""What a server process does before it takes requests: it starts the threads that ingestion needs beside them.

They end with the process, whoever ends it, and are started anew in one that is forked off.
"""

import atexit
import os
import threading
from collections.abc import Callable

from conversations.ingest import counts, wake, writing
from conversations.ingest.conf import Options
from conversations.ingest.door import Door
from conversations.ingest.worker import Worker

STOP_WITHIN = 10.0  # seconds, for the batch in hand

_running: list[tuple[Door | Worker, threading.Thread]] = []


def start() -> None:
    """Start this process' threads, once."""
    if not _running:
        _begin()
        os.register_at_fork(after_in_child=_begin_anew)
        atexit.register(stop)


def stop() -> None:
    """Let the threads finish what they have in hand, the worker first."""
    for part, thread in reversed(_running):
        part.stop()
        wake.tell_here()
        thread.join(STOP_WITHIN)
    _running.clear()


def _begin() -> None:
    parts: list[Door | Worker] = [Door(), *([Worker()] if Options.read().inside else [])]
    _running[:] = [(part, _started(part.run, type(part).__name__.lower())) for part in parts]


def _begin_anew() -> None:
    counts.forget()
    writing.forget()
    wake.forget()
    _begin()


def _started(run: Callable[[], None], name: str) -> threading.Thread:
    thread = threading.Thread(target=run, name=f"ingest-{name}", daemon=True)
    thread.start()
    return thread
