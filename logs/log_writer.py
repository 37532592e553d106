"""The thread that writes what others log: one a process, started by the first record, gone after a fork.

It writes in batches: a little patience makes one write of many. When the disk refuses, it keeps what it has, tries
again, and says so on the standard error; meanwhile the backlog drops what it must.
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

LINGER = 0.02  # seconds between the first record of a batch and its writing
AT_ONCE = 500  # records
RETRY_AFTER = 0.5
WITHIN = 4.0  # seconds that a process which ends waits for a disk that stalls

Write = Callable[[Sequence[logging.LogRecord]], None]


class LogWriter:
    """Writes a backlog until it is told to stop.

    Args:
        backlog: what is to be written.
        write: writes records, and what it could not write before; raises when it still cannot.
    """

    def __init__(self, backlog: RecordQueue, write: Write) -> None:
        self._backlog = backlog
        self._write = write
        self._starting = threading.Lock()
        self._stopped = False
        self._thread: threading.Thread | None = None
        self.is_running = False

    def start(self) -> bool:
        """Start the thread, once a process; return whether there is one, or somebody is at it.

        A thread that cannot be had (the interpreter goes down, the system has no more) is tried again with the next
        record.
        """
        if not self._starting.acquire(blocking=False):
            return True
        try:
            if not self.is_running and not self._stopped:
                thread = threading.Thread(target=self._run, name="logs-listener", daemon=True)
                thread.start()
                self._thread, self.is_running = thread, True
                self.is_running = not self._stopped  # which may have come in between
        except RuntimeError:
            return False
        finally:
            self._starting.release()
        return self.is_running

    def flush(self, within: float | None = None) -> bool:
        """Wait until everything logged so far is written, `WITHIN` at most; return whether it is."""
        return not self.is_running or self._backlog.barrier().wait(WITHIN if within is None else within)

    def stop(self, within: float | None = None) -> bool:
        """Let the thread finish what it has in hand, and end; return whether it has.

        From here on who logs writes, what the thread has left behind too.
        """
        self._stopped, self.is_running = True, False
        self._backlog.wake()
        if self._thread is None:
            return True
        self._thread.join(WITHIN if within is None else within)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopped:
            self._backlog.wait(LINGER)
            records, marks = self._backlog.drain()
            # In parts, for a fork waits for the end of a write.
            written = [self._persist(records[start : start + AT_ONCE]) for start in range(0, len(records), AT_ONCE)]
            for mark in marks if all(written) else ():
                mark.set()

    def _persist(self, records: Sequence[logging.LogRecord]) -> bool:
        """Write, however long the disk refuses; return whether it is written, for a listener may be stopped before."""
        is_said = False
        while True:
            try:
                self._write(records)
            except Exception as error:  # noqa: BLE001 - whatever it is, without this thread nobody would hear of anything
                if not is_said:
                    write_stderr(f"cannot write, trying again: {type(error).__name__}: {error}")
                records, is_said = (), True
            else:
                return True
            if self._stopped:
                return False
            time.sleep(RETRY_AFTER)


def write_stderr(text: str) -> None:
    """Say on the standard error what cannot be logged: it is the only place left."""
    with suppress(Exception):
        if is_writable(sys.stderr):
            print(f"logs: {text}", file=sys.stderr, flush=True)  # noqa: T201 - as the docstring says


def is_writable(stream: TextIO, within: float = 0.0) -> bool:
    """Whether a stream takes a little text: a pipe that nobody reads would hold for ever who writes to it."""
    try:
        return bool(select.select([], [stream], [], within)[1])
    except (OSError, ValueError):  # it is no file, so there is nothing to wait for
        return True
