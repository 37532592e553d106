"""How many connections each worker process has, so that the processes share them evenly."""

import mmap

EVENNESS = 8  # one in so many connections may be more than another process has


class ConnectionCounts:
    """The number of open connections of each worker process, in memory that all share since the master forked."""

    SLOTS = 256
    UNUSED = 2**32 - 1

    def __init__(self) -> None:
        self._counts = memoryview(mmap.mmap(-1, self.SLOTS * 4)).cast("I")
        for slot in range(self.SLOTS):
            self._counts[slot] = self.UNUSED

    def set(self, age: int, count: int) -> None:
        """Set the count of the worker that gunicorn gave the number `age`; `UNUSED` for a process that has ended."""
        self._counts[age % self.SLOTS] = count

    def is_more_than_another(self, count: int) -> bool:
        """Return whether another worker process has clearly less than `count` connections."""
        return min(self._counts) < count - count // EVENNESS
