"""A thread body that does one piece of work again and again until it is stopped."""

import threading
from abc import ABC, abstractmethod


class PeriodicThread(ABC):
    """Calls `tick`, then waits as long as `tick` says or until it is woken. Pass `run` to `threading.Thread`.

    Attributes:
        min_interval: seconds that pass between two ticks even if the thread is woken.
    """

    min_interval = 0.0

    def __init__(self, stopped: threading.Event) -> None:
        """Prepare; several threads may share the event that stops them."""
        self._stopped = stopped
        self._woken = threading.Event()

    def wake(self) -> None:
        """Make the next tick run now."""
        self._woken.set()

    def run(self) -> None:
        """Tick until stopped."""
        while not self._stopped.is_set():
            woken = self._woken.is_set()
            self._woken.clear()
            delay = self.tick(woken=woken)
            if self.min_interval:
                self._stopped.wait(self.min_interval)
            self._woken.wait(delay)

    @abstractmethod
    def tick(self, *, woken: bool) -> float:
        """Do the work once; must not raise.

        Args:
            woken: whether `wake` was called since the last tick.

        Returns:
            Seconds until the next tick.
        """
