"""The writer thread of the logs: the first log record in each process, also in a forked child, starts one.

The writer thread waits a moment after the first record, so that one write takes many records. When the disk refuses a
write, the thread keeps the lines, retries, and reports the error on the standard error. If the queue becomes full
before the disk accepts writes again, the queue drops records.
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

BATCH_DELAY = 0.02  # seconds between the first log record of a batch and the write of the batch
BATCH_RECORDS = 500  # the maximum number of log records in one write
RETRY_DELAY = 0.5  # seconds between a failed write and the next attempt
FLUSH_TIMEOUT = 4.0  # seconds that an ending process waits for a stalled disk

Write = Callable[[Sequence[logging.LogRecord]], None]


class LogWriter:
    """Writes the log records of a queue in a thread, until `stop` is called.

    Args:
        queue: the queue of the log records to write.
        write: writes the given records and the records that an earlier call could not write; raises on failure.
    """

    def __init__(self, queue: RecordQueue, write: Write) -> None:
        self._queue = queue
        self._write = write
        self._start_lock = threading.Lock()
        self._stopped = False
        self._thread: threading.Thread | None = None
        self.is_running = False

    def start(self) -> bool:
        """Start the writer thread once; return whether the writer thread runs or another thread is starting it.

        If no thread can be started (at interpreter exit, or at the system's limit), the next log record tries again.
        """
        if not self._start_lock.acquire(blocking=False):
            return True
        try:
            if not self.is_running and not self._stopped:
                thread = threading.Thread(target=self._run, name="logs-writer", daemon=True)
                thread.start()
                self._thread, self.is_running = thread, True
                self.is_running = not self._stopped  # `stop` may have run since the check above
        except RuntimeError:
            return False
        finally:
            self._start_lock.release()
        return self.is_running

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until everything logged so far is written; return False after `timeout` (default `FLUSH_TIMEOUT`)."""
        return not self.is_running or self._queue.barrier().wait(FLUSH_TIMEOUT if timeout is None else timeout)

    def stop(self, timeout: float | None = None) -> bool:
        """Let the writer thread finish its batch and end; return False if the thread still runs after `timeout`.

        After `stop`, the thread that logs a record also writes the record, with the records left in the queue.
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
            # The records are written in several short writes, because a fork waits for the end of a write.
            written = [
                self._write_with_retries(records[start : start + BATCH_RECORDS])
                for start in range(0, len(records), BATCH_RECORDS)
            ]
            for barrier in barriers if all(written) else ():
                barrier.set()

    def _write_with_retries(self, records: Sequence[logging.LogRecord]) -> bool:
        """Write records, with retries until `stop` is called; return whether the records are written."""
        is_reported = False
        while True:
            try:
                self._write(records)
            except Exception as error:  # noqa: BLE001 - without the writer thread nothing more would be logged
                if not is_reported:
                    write_stderr(f"cannot write, trying again: {type(error).__name__}: {error}")
                records, is_reported = (), True
            else:
                return True
            if self._stopped:
                return False
            time.sleep(RETRY_DELAY)


def write_stderr(text: str) -> None:
    """Write a problem of the logging service to the standard error, unless the write would block."""
    with suppress(Exception):
        if is_writable(sys.stderr):
            print(f"logs: {text}", file=sys.stderr, flush=True)  # noqa: T201 - the log files are not available


def is_writable(stream: TextIO, timeout: float = 0.0) -> bool:
    """Return whether a stream accepts a little text now; a write to a full pipe that nobody reads blocks for ever."""
    try:
        return bool(select.select([], [stream], [], timeout)[1])
    except (OSError, ValueError):  # a stream without a file descriptor cannot block
        return True
