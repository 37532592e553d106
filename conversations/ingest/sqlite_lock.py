"""SQLite has one writer at a time, and who finds it busy looks again later and later: in one process they queue.

A batch is short there, for webhooks wait for its end.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

LONGEST_BATCH = 100  # events

_queue = threading.Lock()


@contextmanager
def serialized_writes() -> Iterator[None]:
    """Write when the others of this process have written, where the database cannot order that by itself."""
    if connection.vendor == "sqlite" and not connection.in_atomic_block:
        with _queue:
            yield
    else:
        yield


def max_batch_size(wanted: int) -> int:
    """Return how many events one batch may have."""
    return min(wanted, LONGEST_BATCH) if connection.vendor == "sqlite" else wanted


def reset_after_fork() -> None:
    """Forget who is writing, in a process that was forked off."""
    global _queue  # noqa: PLW0603 - another thread of the parent may have had the old one
    _queue = threading.Lock()
