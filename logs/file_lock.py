"""An exclusive lock between processes, on a file or a folder (flock(2)).

The lock is released when the process that holds it ends for any reason. A forked child does not hold its parent's lock.
"""

import fcntl
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from logs.fork import after_fork

POLL_SECONDS = 0.1

_held: set[int] = set()  # the file descriptors of the locks that this process holds


class AlreadyLocked(Exception):
    """Another process holds the lock on the file."""


@contextmanager
def exclusive_lock(
    path: Path, *, timeout: float = math.inf, on_wait: Callable[[], object] = lambda: None
) -> Iterator[None]:
    """Hold the exclusive lock of a file or a folder inside the block.

    Args:
        path: a folder, or a file, which is created when it is missing.
        timeout: seconds to wait while another process holds the lock; 0 means not to wait.
        on_wait: called once before this process waits for the lock.

    Raises:
        AlreadyLocked: another process still holds the lock after `timeout`.
        OSError: the file cannot be opened.
    """
    flags = os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT
    descriptor = os.open(path, flags, 0o600)
    _held.add(descriptor)
    try:
        if not _try_lock(descriptor):
            _wait_for_lock(descriptor, path, timeout, on_wait)
        yield
    finally:
        if descriptor in _held:  # false in a forked child, which has closed its descriptor already
            _held.remove(descriptor)
            os.close(descriptor)


def _wait_for_lock(descriptor: int, path: Path, timeout: float, on_wait: Callable[[], object]) -> None:
    deadline = time.monotonic() + timeout
    if timeout:
        on_wait()
    while time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        if _try_lock(descriptor):
            return
    raise AlreadyLocked(str(path))


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@after_fork
def _close_in_child() -> None:
    """Close inherited lock files in a forked child; while one is open, a lock would outlive the parent process."""
    while _held:
        os.close(_held.pop())
