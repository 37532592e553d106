"""One load at a time: of several threads that miss the same entry, one loads it and the others wait for that.

Those who waited look again instead of taking over what was loaded: it may have been read before a write that they have
already seen the end of.
"""

import threading
from time import monotonic

LONGEST_WAIT = 5.0  # seconds; a loader that takes longer keeps nobody
REMEMBERED = 1000  # landings


class SingleFlight:
    """The loads that are under way in this process, by the name of the entry, and when the last ones were done."""

    def __init__(self) -> None:
        self._under_way: dict[str, threading.Event] = {}
        self._landed: dict[str, float] = {}
        self._lock = threading.Lock()

    def acquire(self, name: str, since: float) -> bool:
        """Become the one who loads, and return True; or return False once another has loaded, for a look at that.

        Args:
            name: the entry.
            since: when it was last looked for (monotonic clock).
        """
        with self._lock:
            landing = self._under_way.get(name)
            if landing is None:
                if self._landed.get(name, 0.0) >= since:
                    return False
                self._under_way[name] = threading.Event()
                return True
        landing.wait(LONGEST_WAIT)
        return False

    def release(self, name: str) -> None:
        """Let go those who wait."""
        with self._lock:
            if len(self._landed) >= REMEMBERED:
                self._landed.clear()
            self._landed[name] = monotonic()
            self._under_way.pop(name).set()
