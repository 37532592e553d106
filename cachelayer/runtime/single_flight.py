"""Single flight: of several threads that miss the same entry, one loads it and the others wait for it.

The threads that waited look the entry up again. They must not take the loaded value over: it may have been read before
a write whose end they have already seen.
"""

import threading
from time import monotonic

MAX_WAIT = 5.0  # seconds that a thread waits for a load; a slower loader does not delay other threads any longer
MAX_LANDED = 1000  # entries for which the time of the last load is kept


class SingleFlight:
    """The loads that are under way in this process, and when recent loads finished, by the name of the entry."""

    def __init__(self) -> None:
        self._under_way: dict[str, threading.Event] = {}
        self._landed: dict[str, float] = {}
        self._lock = threading.Lock()

    def acquire(self, name: str, looked_up_at: float) -> bool:
        """Return True if the caller must load the entry and then call `release`.

        Return False if another thread has loaded it since; this may wait for that thread first. Then the caller looks
        the entry up again.

        Args:
            name: the name of the entry.
            looked_up_at: when the caller began its last lookup of the entry (monotonic clock).
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
        """Wake the threads that wait for this load."""
        with self._lock:
            if len(self._landed) >= MAX_LANDED:
                self._landed.clear()
            self._landed[name] = monotonic()
            self._under_way.pop(name).set()
