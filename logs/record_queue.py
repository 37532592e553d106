"""What has been logged and is not written yet: bounded, and never in the way of who logs.

There is one deque a band of levels, and no lock for who adds: appending to a deque is one step (Python's documentation
promises it). When the backlog is full, the oldest records of the lowest level go, and are counted; ERROR and above
never do.
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

_OWN = Context.GENERAL.logger.name
_BANDS = (logging.INFO, logging.WARNING, logging.ERROR)  # a record is in the first band whose level is above its own
_moment = attrgetter("created")


class RecordQueue:
    """The records on their way from those who log to the one who writes."""

    def __init__(self, capacity: int) -> None:
        self.dropped: Counter[int] = Counter()  # by level
        self._told: Counter[int] = Counter()
        self._capacity = capacity
        self._bands: tuple[deque[logging.LogRecord], ...] = tuple(deque() for _ in range(len(_BANDS) + 1))
        self._marks: deque[Event] = deque()
        self._dropping = RLock()  # a signal's handler may log while its thread is at it
        self._is_called = False
        self._calls: queue.SimpleQueue[None] = queue.SimpleQueue()

    def put(self, record: logging.LogRecord) -> None:
        """Add a record. Never waits."""
        debug, info, warning, error = self._bands
        level = record.levelno
        band = debug if level < _BANDS[0] else info if level < _BANDS[1] else warning if level < _BANDS[2] else error
        band.append(record)
        if len(debug) + len(info) + len(warning) + len(error) > self._capacity:
            self._drop_one()
        if not self._is_called:
            self.wake()

    def wake(self) -> None:
        """Call the one who writes."""
        self._is_called = True
        self._calls.put(None)

    def barrier(self) -> Event:
        """Return what is set once everything that is in here now has been written."""
        mark = Event()
        self._marks.append(mark)
        self.wake()
        return mark

    def wait(self, linger: float) -> None:
        """Wait until there is something to take, and some seconds for more of it, unless somebody calls again."""
        self._calls.get()
        with suppress(queue.Empty):
            self._calls.get(timeout=linger)

    def drain(self) -> tuple[list[logging.LogRecord], list[Event]]:
        """Take everything, in the order of time, and the marks that are to be set when it is written."""
        self._is_called = False  # before looking: who adds something from here on calls again
        marks = list(_emptied(self._marks))
        records = [record for band in self._bands for record in _emptied(band)]
        records.sort(key=_moment)
        return records + self._about_drops(), marks

    def _drop_one(self) -> None:
        with self._dropping:
            for band in self._bands[:-1]:
                for gone in _emptied(band, most=1):
                    self.dropped[gone.levelno] += 1
                    return

    def _about_drops(self) -> list[logging.LogRecord]:
        """Say what was dropped since this was last said."""
        with self._dropping:
            new = self.dropped - self._told
            self._told += new
        if not new:
            return []
        lost = ", ".join(f"{times} {levels.name(level)}" for level, times in sorted(new.items()))
        text = f"Logs DROPPED {lost}: too many at once"
        return [logging.LogRecord(_OWN, logging.WARNING, "", 0, text, None, None)]


def _emptied(band: deque[T], most: int | None = None) -> Iterator[T]:
    """Yield what is in a deque now, the oldest first, and take it out; others may do so at the same time."""
    for _ in range(len(band) if most is None else most):
        try:
            yield band.popleft()
        except IndexError:
            return
