"""Starts the threads of a web process: of ingestion and of monitoring.

If `IN_WEB_PROCESS` is set, these include a worker and the delivery of outgoing webhooks. Otherwise processes that run a
worker alone deliver them.

The threads stop when the process exits. A forked child process starts threads of its own.
"""

import atexit
import threading
from collections.abc import Sequence

from conversations.api.outgoing_pages import OutgoingPages
from conversations.ingest import metrics, notify, sqlite_lock
from conversations.ingest.conf import Options
from conversations.ingest.inbox.web_background import WebBackgroundThread
from conversations.ingest.worker.worker import Worker
from conversations.monitoring.threads import STOP_SECONDS, MonitoringThread, make_threads
from conversations.webhooks_out.deliverer import Deliverer
from logs.fork import after_fork

STOP_TIMEOUT = 10.0  # seconds that `stop` waits for each thread to finish its current work

Service = WebBackgroundThread | Worker | Deliverer | MonitoringThread

_running: list[tuple[Service, threading.Thread]] = []


def start() -> None:
    """Start the threads of a web process, unless they are running already."""
    if not _running:
        _start_threads()
        after_fork(_restart_after_fork)
        atexit.register(stop)


def start_beside_worker() -> None:
    """Start the other threads of a process that runs a worker."""
    _run([Deliverer(OutgoingPages()), *make_threads()])
    atexit.register(stop)


def stop() -> None:
    """Stop the threads, the worker before the others of ingestion, and wait for each to finish its work."""
    for service, thread in reversed(_running):
        service.stop()
        notify.notify_local()
        thread.join(STOP_SECONDS if isinstance(service, MonitoringThread) else STOP_TIMEOUT)
    _running.clear()


def _start_threads() -> None:
    workers: list[Service] = [Worker(), Deliverer(OutgoingPages())] if Options.read().in_web_process else []
    _run([WebBackgroundThread(), *workers, *make_threads()])


def _run(services: Sequence[Service]) -> None:
    _running[:] = [(service, _start_thread(service)) for service in services]


def _restart_after_fork() -> None:
    metrics.reset_after_fork()
    sqlite_lock.reset_after_fork()
    notify.reset_after_fork()
    _start_threads()


def _start_thread(service: Service) -> threading.Thread:
    prefix = "monitoring" if isinstance(service, MonitoringThread) else "ingest"
    name = f"{prefix}-{type(service).__name__.lower()}"
    thread = threading.Thread(target=service.run, name=name, daemon=True)
    thread.start()
    return thread
