"""The bounded queue of log records for the writer thread; adding a record never blocks.

The queue has one deque for each band of log levels. Adding a record takes no lock, because Python documents appending
to a deque as atomic. When the queue is full, the oldest record of the lowest band is dropped and counted. Records at
ERROR and above are never dropped.
"""

import logging
import queue
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import suppress
from operator import attrgetter
from threading import Event, RLock
from typing import TypeVar

from logs import levels
from logs.contexts import Context

T = TypeVar("T")

_LOGGER_NAME = Context.GENERAL.logger.name
# The exclusive upper bounds of the bands of log levels; a further, last band is for ERROR and above.
_BANDS = (logging.INFO, logging.WARNING, logging.ERROR)
_created = attrgetter("created")


class RecordQueue:
    """The log records that wait to be written.

    Args:
        capacity: how many records may wait before records below ERROR are dropped.
    """

    def __init__(self, capacity: int) -> None:
        self.dropped: Counter[int] = Counter()  # number of dropped records by level
        self._reported: Counter[int] = Counter()
        self._capacity = capacity
        self._bands: tuple[deque[logging.LogRecord], ...] = tuple(deque() for _ in range(len(_BANDS) + 1))
        self._barriers: deque[Event] = deque()
        self._drop_lock = RLock()  # reentrant, because a POSIX signal handler may log while its thread holds the lock
        self._is_woken = False
        self._wakeups: queue.SimpleQueue[None] = queue.SimpleQueue()

    def put(self, record: logging.LogRecord) -> None:
        """Add a log record to the queue, without blocking."""
        debug, info, warning, error = self._bands
        level = record.levelno
        band = debug if level < _BANDS[0] else info if level < _BANDS[1] else warning if level < _BANDS[2] else error
        band.append(record)
        if len(debug) + len(info) + len(warning) + len(error) > self._capacity:
            self._drop_one()
        if not self._is_woken:
            self.wake()

    def wake(self) -> None:
        """Wake the writer thread."""
        self._is_woken = True
        self._wakeups.put(None)

    def barrier(self) -> Event:
        """Return an event that the writer thread sets once all records now in the queue are written."""
        event = Event()
        self._barriers.append(event)
        self.wake()
        return event

    def wait(self, batch_delay: float) -> None:
        """Wait for one record; then wait for more records until `batch_delay` seconds pass or `wake` is called."""
        self._wakeups.get()
        with suppress(queue.Empty):
            self._wakeups.get(timeout=batch_delay)

    def drain(self) -> tuple[list[logging.LogRecord], list[Event]]:
        """Remove and return all records, ordered by time, and the barriers to set once the records are written."""
        self._is_woken = False  # before the queue is emptied: a record added later must wake the writer thread again
        barriers = list(_pop_all(self._barriers))
        records = [record for band in self._bands for record in _pop_all(band)]
        records.sort(key=_created)
        return records + self._drop_report(), barriers

    def _drop_one(self) -> None:
        with self._drop_lock:
            for band in self._bands[:-1]:
                for record in _pop_all(band, limit=1):
                    self.dropped[record.levelno] += 1
                    return

    def _drop_report(self) -> list[logging.LogRecord]:
        """Return a list with one record that counts the records dropped since the last report, or an empty list."""
        with self._drop_lock:
            new = self.dropped - self._reported
            self._reported += new
        if not new:
            return []
        counts = ", ".join(f"{count} {levels.name(level)}" for level, count in sorted(new.items()))
        text = f"Logs DROPPED {counts}: the queue was full"
        return [logging.LogRecord(_LOGGER_NAME, logging.WARNING, "", 0, text, None, None)]


def _pop_all(items: deque[T], limit: int | None = None) -> Iterator[T]:
    """Remove and yield the items now in a deque, oldest first; other threads may remove items at the same time."""
    for _ in range(len(items) if limit is None else limit):
        try:
            yield items.popleft()
        except IndexError:
            return
