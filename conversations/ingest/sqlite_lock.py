"""Queues the writes of one process on SQLite, which allows one writer at a time.

Without a queue, a writer that finds the database locked would poll the lock at growing intervals. Batches of events
are smaller on SQLite, because an insert of a webhook event waits until the running batch ends. Other writes, such as
those of the API, still poll. A worker leaves the lock free between two rounds for longer than the polls are apart.
"""

import threading
from contextlib import AbstractContextManager, nullcontext

from django.db import DEFAULT_DB_ALIAS, connection, connections

MAX_BATCH_EVENTS = 100
MIN_PAUSE = 0.15  # seconds; SQLite polls a lock every 0.1 s, after the first polls

_lock = threading.Lock()


def serialized_writes() -> AbstractContextManager[object]:
    """Hold the process-wide SQLite write lock during the block; on PostgreSQL or inside a transaction, do nothing."""
    database = connections[DEFAULT_DB_ALIAS]
    return _lock if database.vendor == "sqlite" and not database.in_atomic_block else nullcontext()


def max_batch_size(configured: int) -> int:
    """Return the maximum number of events in one batch: `configured`, but on SQLite at most `MAX_BATCH_EVENTS`."""
    return min(configured, MAX_BATCH_EVENTS) if connection.vendor == "sqlite" else configured


def min_pause(configured: float) -> float:
    """Return the seconds between two rounds of a worker: `configured`, but on SQLite at least `MIN_PAUSE`."""
    return max(configured, MIN_PAUSE) if connection.vendor == "sqlite" else configured


def reset_after_fork() -> None:
    """Replace the write lock in a forked child, because a thread of the parent may have held the lock at the fork."""
    global _lock  # noqa: PLW0603 - each process has one write lock
    _lock = threading.Lock()
