"""Starts the ingestion threads of a web process: the background thread and, if configured, a worker.

The threads stop when the process exits, and a forked child process starts its own.
"""

import atexit
import threading

from conversations.ingest import metrics, notify, sqlite_lock
from conversations.ingest.conf import Options
from conversations.ingest.inbox.web_background import WebBackgroundThread
from conversations.ingest.worker.worker import Worker
from logs.fork import after_fork

STOP_TIMEOUT = 10.0  # seconds for each thread to finish its current batch

_running: list[tuple[WebBackgroundThread | Worker, threading.Thread]] = []


def start() -> None:
    """Start the threads of this process; further calls do nothing."""
    if not _running:
        _start_threads()
        after_fork(_restart_after_fork)
        atexit.register(stop)


def stop() -> None:
    """Stop the threads, the worker first, and wait until they have finished their current work."""
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
