"""Starts the ingestion threads of a web process: `WebBackgroundThread`, and a worker if `IN_WEB_PROCESS` is set.

The ingestion threads stop when the process exits. A forked child process starts ingestion threads of its own.
"""

import atexit
import threading

from conversations.ingest import metrics, notify, sqlite_lock
from conversations.ingest.conf import Options
from conversations.ingest.inbox.web_background import WebBackgroundThread
from conversations.ingest.worker.worker import Worker
from logs.fork import after_fork

STOP_TIMEOUT = 10.0  # seconds that `stop` waits for each thread to finish its current work

_running: list[tuple[WebBackgroundThread | Worker, threading.Thread]] = []


def start() -> None:
    """Start the ingestion threads of this process, unless they are running already."""
    if not _running:
        _start_threads()
        after_fork(_restart_after_fork)
        atexit.register(stop)


def stop() -> None:
    """Stop the ingestion threads, the worker first, and wait up to `STOP_TIMEOUT` for each to finish its work."""
    for service, thread in reversed(_running):
        service.stop()
        notify.notify_local()
        thread.join(STOP_TIMEOUT)
    _running.clear()


def _start_threads() -> None:
    services: list[WebBackgroundThread | Worker] = [
        WebBackgroundThread(),
        *([Worker()] if Options.read().in_web_process else []),
    ]
    _running[:] = [(service, _start_thread(service)) for service in services]


def _restart_after_fork() -> None:
    metrics.reset_after_fork()
    sqlite_lock.reset_after_fork()
    notify.reset_after_fork()
    _start_threads()


def _start_thread(service: WebBackgroundThread | Worker) -> threading.Thread:
    name = f"ingest-{type(service).__name__.lower()}"
    thread = threading.Thread(target=service.run, name=name, daemon=True)
    thread.start()
    return thread
