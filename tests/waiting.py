"""Waits for what other threads and processes do, and stops the clock for what must not depend on time."""

import time
from collections.abc import Callable

TIMEOUT = 180.0  # seconds; long, because a busy machine may stall


def wait_until(condition: Callable[[], object]) -> None:
    """Wait until another thread or process has made a condition true.

    Raises:
        TimeoutError: the condition is still false after `TIMEOUT` seconds.
    """
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"the condition is still false after {TIMEOUT:.0f} s")
        time.sleep(0.005)


class StoppedClock:
    """Stands in for `time.monotonic`; a test sets `now`, in seconds."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the time that the test has set."""
        return self.now
