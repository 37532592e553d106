"""The worker inside the server's process: for the embedded default, which has no other process."""

import atexit
import threading

from conversations.ingest.worker import Worker

STOP_WITHIN = 10.0  # seconds


def start() -> Worker:
    """Start a worker in a thread of this process, which stops with it."""
    worker = Worker()
    thread = threading.Thread(target=worker.run, name="ingest", daemon=True)
    thread.start()

    def stop() -> None:
        worker.stop()
        thread.join(STOP_WITHIN)

    atexit.register(stop)
    return worker
