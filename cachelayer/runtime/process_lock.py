"""A file lock: without Redis, the process that holds it owns the cache of a database.

A second process would not receive the invalidations of the first one. It waits for a while, because the first one may
be about to end, as when a server is restarted. Then it refuses to start.
"""

import fcntl
import hashlib
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import connections, router

from cachelayer.models import Outbox
from logs.contexts import Context

MAX_WAIT = 30.0  # seconds; longer than a server gives its requests to finish when it stops
POLL_INTERVAL = 0.1  # seconds

log = Context.CACHE.logger
_lock_file: int | None = None  # file descriptor, open until the process ends; a forked child does not inherit the lock


def acquire() -> None:
    """Acquire the lock, unless the database is in memory and so belongs to this process.

    Raises:
        ImproperlyConfigured: another process holds the lock, or the lock file cannot be opened.
    """
    global _lock_file  # noqa: PLW0603 - one lock a process
    path = lock_path(connections[router.db_for_write(Outbox)].settings_dict)
    if path is None or _lock_file is not None:
        return
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ImproperlyConfigured(f"the cache's lock {path}: {error.strerror}") from error
    if not _try_lock(descriptor):
        log.warning("Cache WAITS for the process that owns it to end")
        _wait(descriptor)
    _lock_file = descriptor


def _wait(descriptor: int) -> None:
    deadline = time.monotonic() + MAX_WAIT
    while not _try_lock(descriptor):
        if time.monotonic() > deadline:
            os.close(descriptor)
            raise ImproperlyConfigured(
                "REDIS_URL: is empty, and another process owns the cache of this database; without Redis, run only one"
            )
        time.sleep(POLL_INTERVAL)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def lock_path(database: Mapping[str, Any]) -> Path | None:
    """Return the path of the lock file of a database; None if the database is in memory.

    Args:
        database: its entry in `DATABASES`.
    """
    name = str(database["NAME"])
    if not database["ENGINE"].endswith("sqlite3"):
        identity = repr([database.get(part) for part in ("ENGINE", "HOST", "PORT", "NAME")])
        return Path(tempfile.gettempdir(), f"cachelayer-{hashlib.sha256(identity.encode()).hexdigest()[:16]}.lock")
    return None if ":memory:" in name or "mode=memory" in name else Path(f"{name}.cache")
