"""Queues the writes of one process on SQLite, which allows one writer at a time.

Without the queue, a writer that finds the database locked would poll it at growing intervals. Batches are shorter on
SQLite because webhook inserts wait until a batch ends.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

MAX_BATCH_EVENTS = 100

_lock = threading.Lock()


@contextmanager
def serialized_writes() -> Iterator[None]:
    """Hold the process-wide write lock during the block; on PostgreSQL or inside a transaction do nothing."""
    if connection.vendor == "sqlite" and not connection.in_atomic_block:
        with _lock:
            yield
    else:
        yield


def max_batch_size(configured: int) -> int:
    """Return the maximum number of events in one batch: `configured`, limited on SQLite."""
    return min(configured, MAX_BATCH_EVENTS) if connection.vendor == "sqlite" else configured


def reset_after_fork() -> None:
    """Replace the lock in a forked child, because another thread of the parent may have held it during the fork."""
    global _lock  # noqa: PLW0603 - one lock per process
    _lock = threading.Lock()
