"""If several threads of a process miss the same entry, one thread loads the entry and the other threads wait.

The threads that waited look in the cache again, and do not use the value that the other thread has loaded: that value
may be older than a write that had ended before the waiting thread began to read.
"""

import threading
from time import monotonic

MAX_WAIT = 5.0  # maximum seconds that a thread waits for another thread that loads an entry
MAX_LANDED = 1000  # number of entries for which the time of the last load is kept


class SingleFlight:
    """Keeps which entries the threads of this process are loading, and when recent loads finished."""

    def __init__(self) -> None:
        self._under_way: dict[str, threading.Event] = {}
        self._landed: dict[str, float] = {}
        self._lock = threading.Lock()

    def acquire(self, name: str, looked_up_at: float) -> bool:
        """Return True if the caller must load the entry and then call `release`.

        Return False if another thread has loaded the entry after `looked_up_at`, or if this method has waited for
        another thread that loads the entry. After False, the caller must look up the entry again.

        Args:
            name: the cache key of the entry.
            looked_up_at: the time on the monotonic clock at which the caller began to look up the entry.
        """
        with self._lock:
            is_loaded = self._under_way.get(name)
            if is_loaded is None:
                if self._landed.get(name, 0.0) >= looked_up_at:
                    return False
                self._under_way[name] = threading.Event()
                return True
        is_loaded.wait(MAX_WAIT)
        return False

    def release(self, name: str) -> None:
        """Record that the caller has loaded the entry, and wake the threads that wait for the load."""
        with self._lock:
            if len(self._landed) >= MAX_LANDED:
                self._landed.clear()
            self._landed[name] = monotonic()
            self._under_way.pop(name).set()
