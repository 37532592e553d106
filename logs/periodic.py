"""The body of a thread that repeats one piece of work until the thread is stopped."""

import threading
from abc import ABC, abstractmethod


class PeriodicThread(ABC):
    """Calls `tick` again and again; waits in between for as long as `tick` says, or until `wake` is called.

    Attributes:
        min_interval: the minimum number of seconds between two calls of `tick`, even after `wake`.
    """

    min_interval = 0.0

    def __init__(self, stopped: threading.Event) -> None:
        """Prepare the thread's body; several threads may share `stopped`, the event that stops them."""
        self._stopped = stopped
        self._woken = threading.Event()

    def wake(self) -> None:
        """Make the thread call `tick` now, without waiting longer."""
        self._woken.set()

    def run(self) -> None:
        """Call `tick` until the thread is stopped; pass this method to `threading.Thread`."""
        while True:
            woken = self._woken.is_set()
            self._woken.clear()
            if self._stopped.is_set():  # after `clear`, because `stopped` is set before `wake`
                return
            delay = self.tick(woken=woken)
            if self.min_interval:
                self._stopped.wait(self.min_interval)
            self._woken.wait(delay)

    @abstractmethod
    def tick(self, *, woken: bool) -> float:
        """Do the thread's work once; must not raise an exception.

        Args:
            woken: whether `wake` was called since the last call of `tick`.

        Returns:
            The number of seconds until the next call of `tick`.
        """
