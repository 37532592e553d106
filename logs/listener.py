"""The thread that writes what others log: one a process, started by the first record, gone after a fork.

It writes in batches: a little patience makes one write of many. When the disk refuses, it keeps what it has, tries
again, and says so on the standard error; meanwhile the backlog drops what it must.
"""

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence

from logs import levels
from logs.backlog import Backlog
from logs.contexts import Context

LINGER = 0.02  # seconds between the first record of a batch and its writing
RETRY_AFTER = 0.5
STOP_WITHIN = 5.0  # seconds that a process which ends waits for a disk that stalls

Write = Callable[[Sequence[logging.LogRecord]], None]


class Listener:
    """Writes a backlog until it is told to stop.

    Args:
        backlog: what is to be written.
        write: writes records, and what it could not write before; raises `OSError` when it still cannot.
    """

    def __init__(self, backlog: Backlog, write: Write) -> None:
        self._backlog = backlog
        self._write = write
        self._hurried = threading.Event()
        self._stopped = False
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._process = 0
        self._told: dict[int, int] = {}
        self.is_running = False

    def start(self) -> None:
        """Start the thread, once a process."""
        with self._lock:
            if self.is_running or self._stopped:
                return
            self._process, self.is_running = os.getpid(), True
            self._thread = threading.Thread(target=self._run, name="logs-listener", daemon=True)
            self._thread.start()

    def flush(self, within: float = STOP_WITHIN) -> bool:
        """Wait until everything logged so far is written; return whether it is."""
        if not self.is_running:
            return True
        self._hurried.set()
        return self._backlog.mark().wait(within)

    def stop(self) -> None:
        """Write everything, and let the thread end; what is logged afterwards is written by who logs it."""
        self.flush()
        self._stopped, self.is_running = True, False
        self._hurried.set()
        self._backlog.call()

    def _run(self) -> None:
        while not self._stopped:
            self._backlog.wait()
            self._hurried.wait(LINGER)
            self._hurried.clear()
            records, marks = self._backlog.take()
            self._persist([*records, *self._about_drops()])
            for mark in marks:
                mark.set()

    def _persist(self, records: Sequence[logging.LogRecord]) -> None:
        """Write, however long the disk refuses."""
        is_said = False
        while not self._stopped:
            try:
                self._write(records)
            except OSError as error:
                if not is_said:
                    print(f"logs: cannot write, trying again: {error}", file=sys.stderr, flush=True)  # noqa: T201 - the only place left
                records, is_said = (), True
                time.sleep(RETRY_AFTER)
            else:
                return

    def _about_drops(self) -> list[logging.LogRecord]:
        """Say what was dropped since this was last said."""
        dropped = dict(self._backlog.dropped)
        new = {level: times - self._told.get(level, 0) for level, times in dropped.items()}
        self._told = dropped
        lost = ", ".join(f"{times} {levels.name(level)}" for level, times in sorted(new.items()) if times)
        if not lost:
            return []
        text = f"Logs DROPPED {lost}: too many at once"
        return [logging.LogRecord(Context.GENERAL.logger.name, logging.WARNING, "", 0, text, None, None)]
