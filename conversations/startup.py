"""What a server process does before it takes requests: it starts the threads that ingestion needs beside them.

They end with the process, whoever ends it, and are started anew in one that is forked off.
"""

import atexit
import os
import threading
from collections.abc import Callable

from conversations.ingest import metrics, notify, sqlite_lock
from conversations.ingest.conf import Options
from conversations.ingest.inbox.web_background import WebBackgroundThread
from conversations.ingest.worker.worker import Worker

STOP_WITHIN = 10.0  # seconds, for the batch in hand

_running: list[tuple[WebBackgroundThread | Worker, threading.Thread]] = []


def start() -> None:
    """Start this process' threads, once."""
    if not _running:
        _start_threads()
        os.register_at_fork(after_in_child=_restart_after_fork)
        atexit.register(stop)


def stop() -> None:
    """Let the threads finish what they have in hand, the worker first."""
    for part, thread in reversed(_running):
        part.stop()
        notify.notify_local()
        thread.join(STOP_WITHIN)
    _running.clear()


def _start_threads() -> None:
    parts: list[WebBackgroundThread | Worker] = [
        WebBackgroundThread(),
        *([Worker()] if Options.read().in_web_process else []),
    ]
    _running[:] = [(part, _started(part.run, type(part).__name__.lower())) for part in parts]


def _restart_after_fork() -> None:
    metrics.reset_after_fork()
    sqlite_lock.reset_after_fork()
    notify.reset_after_fork()
    _start_threads()


def _started(run: Callable[[], None], name: str) -> threading.Thread:
    thread = threading.Thread(target=run, name=f"ingest-{name}", daemon=True)
    thread.start()
    return thread
