"""Without a server one process has the cache of a database: the one that holds a lock on a file, while it lives.

A second one would not hear what the first one writes. So it waits, for the first may be about to end, as when a server
is restarted without a pause; and then refuses to start.
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

WAIT = 30.0  # seconds; longer than requests under way are given when their server stops
POLL = 0.1

log = Context.CACHE.logger
_held: int | None = None  # a descriptor, open until the process ends; children do not get the lock


def acquire() -> None:
    """Take the lock, if the database is one that other processes can have too.

    Raises:
        ImproperlyConfigured: another process has it, or it cannot be had.
    """
    global _held  # noqa: PLW0603 - one of this process
    path = _path(connections[router.db_for_write(Outbox)].settings_dict)
    if path is None or _held is not None:
        return
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ImproperlyConfigured(f"the cache's lock {path}: {error.strerror}") from error
    if not _try_lock(handle):
        log.warning("Cache WAITS for the process that has it to end")
        _wait(handle)
    _held = handle


def _wait(handle: int) -> None:
    ends = time.monotonic() + WAIT
    while not _try_lock(handle):
        if time.monotonic() > ends:
            os.close(handle)
            raise ImproperlyConfigured(
                "REDIS_URL: is empty, and another process has the cache of this database; without a server there is one"
            )
        time.sleep(POLL)


def _try_lock(handle: int) -> bool:
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _path(database: Mapping[str, Any]) -> Path | None:
    """Return where the lock of a database is; None for one in memory."""
    name = str(database["NAME"])
    if not database["ENGINE"].endswith("sqlite3"):
        words = repr([database.get(part) for part in ("ENGINE", "HOST", "PORT", "NAME")])
        return Path(tempfile.gettempdir(), f"cachelayer-{hashlib.sha256(words.encode()).hexdigest()[:16]}.lock")
    return None if ":memory:" in name or "mode=memory" in name else Path(f"{name}.cache")
