"""One load at a time: of several threads that miss the same entry, one loads it and the others wait for that.

Those who waited look again instead of taking over what was loaded: it may have been read before a write that they have
already seen the end of.
"""

import threading

LONGEST_WAIT = 5.0  # seconds; a loader that takes longer keeps nobody


class Flights:
    """The loads that are under way in this process, by the name of the entry."""

    def __init__(self) -> None:
        self._under_way: dict[str, threading.Event] = {}
        self._lock = threading.Lock()

    def lead(self, name: str) -> bool:
        """Become the one who loads, and return True; or wait for the one who does, and return False."""
        with self._lock:
            landed = self._under_way.get(name)
            if landed is None:
                self._under_way[name] = threading.Event()
                return True
        landed.wait(LONGEST_WAIT)
        return False

    def land(self, name: str) -> None:
        """Let go those who wait."""
        with self._lock:
            self._under_way.pop(name).set()
