"""The writer thread: one in each process, started by the first record; a forked child starts its own.

It waits a moment after the first record, so that one write takes many. When the disk refuses a write, it keeps the
lines, retries, and reports the error on the standard error; meanwhile the full queue drops records.
"""

import logging
import select
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TextIO

from logs.record_queue import RecordQueue

BATCH_DELAY = 0.02  # seconds between the first record of a batch and its write
BATCH_RECORDS = 500  # records of one write
RETRY_DELAY = 0.5  # seconds
FLUSH_TIMEOUT = 4.0  # seconds that an ending process waits for a stalled disk

Write = Callable[[Sequence[logging.LogRecord]], None]


class LogWriter:
    """Writes the records of a queue in a thread, until it is stopped.

    Args:
        queue: the records to write.
        write: writes records, and those it could not write before; raises an exception on failure.
    """

    def __init__(self, queue: RecordQueue, write: Write) -> None:
        self._queue = queue
        self._write = write
        self._start_lock = threading.Lock()
        self._stopped = False
        self._thread: threading.Thread | None = None
        self.is_running = False

    def start(self) -> bool:
        """Start the thread once; return whether it runs or another thread is starting it.

        When no thread can be started (at interpreter exit, or at the system's limit), the next record tries again.
        """
        if not self._start_lock.acquire(blocking=False):
            return True
        try:
            if not self.is_running and not self._stopped:
                thread = threading.Thread(target=self._run, name="logs-writer", daemon=True)
                thread.start()
                self._thread, self.is_running = thread, True
                self.is_running = not self._stopped  # `stop` may have run in between
        except RuntimeError:
            return False
        finally:
            self._start_lock.release()
        return self.is_running

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until everything logged so far is written; return False after `timeout` (default `FLUSH_TIMEOUT`)."""
        return not self.is_running or self._queue.barrier().wait(FLUSH_TIMEOUT if timeout is None else timeout)

    def stop(self, timeout: float | None = None) -> bool:
        """Let the thread finish its current batch and end; return False if it has not ended after `timeout`.

        From then on, the thread that logs a record also writes it, together with the records left in the queue.
        """
        self._stopped, self.is_running = True, False
        self._queue.wake()
        if self._thread is None:
            return True
        self._thread.join(FLUSH_TIMEOUT if timeout is None else timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopped:
            self._queue.wait(BATCH_DELAY)
            records, barriers = self._queue.drain()
            # In parts, because a fork waits for the end of a write.
            written = [
                self._write_with_retries(records[start : start + BATCH_RECORDS])
                for start in range(0, len(records), BATCH_RECORDS)
            ]
            for barrier in barriers if all(written) else ():
                barrier.set()

    def _write_with_retries(self, records: Sequence[logging.LogRecord]) -> bool:
        """Write records, with retries until `stop`; return whether they are written."""
        is_reported = False
        while True:
            try:
                self._write(records)
            except Exception as error:  # noqa: BLE001 - without this thread nothing more would be logged
                if not is_reported:
                    write_stderr(f"cannot write, trying again: {type(error).__name__}: {error}")
                records, is_reported = (), True
            else:
                return True
            if self._stopped:
                return False
            time.sleep(RETRY_DELAY)


def write_stderr(text: str) -> None:
    """Write a problem of the log service itself to the standard error, if that does not block."""
    with suppress(Exception):
        if is_writable(sys.stderr):
            print(f"logs: {text}", file=sys.stderr, flush=True)  # noqa: T201 - the log files are not available


def is_writable(stream: TextIO, timeout: float = 0.0) -> bool:
    """Return whether a stream accepts a little text; writing to a full pipe without a reader blocks for ever."""
    try:
        return bool(select.select([], [stream], [], timeout)[1])
    except (OSError, ValueError):  # the stream has no file descriptor and cannot block
        return True
