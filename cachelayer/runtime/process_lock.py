"""A file lock that lets only one server process use the cache of a database if there is no Redis server.

Without Redis, a second server process would not receive the invalidations of the first one. So a second server
process waits up to 30 seconds for the first process to end, and refuses to start if the first process does not end.
"""

import hashlib
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import connections, router

from cachelayer.models import Outbox
from logs.contexts import Context
from logs.file_lock import AlreadyLocked, exclusive_lock

MAX_WAIT = 30.0  # seconds; a server that stops gives its running requests less time to finish

log = Context.CACHE.logger
_lock: ExitStack | None = None  # holds the file lock until this process ends; a forked child does not hold the lock


def acquire() -> None:
    """Acquire the file lock, unless the database is in memory, where no other process can use it.

    Raises:
        ImproperlyConfigured: another process holds the file lock, or the lock file cannot be opened.
    """
    global _lock  # noqa: PLW0603 - each process has one file lock
    path = lock_path(connections[router.db_for_write(Outbox)].settings_dict)
    if path is not None and _lock is None:
        _lock = lock_file(path)


def lock_file(path: Path) -> ExitStack:
    """Lock a file, and return what holds the lock until it is closed or this process ends.

    Raises:
        ImproperlyConfigured: another process holds the file lock, or the lock file cannot be opened.
    """
    lock = ExitStack()
    try:
        lock.enter_context(exclusive_lock(path, timeout=MAX_WAIT, on_wait=_log_waiting))
    except AlreadyLocked:
        raise ImproperlyConfigured(
            "REDIS_URL: is empty, and another process owns the cache of this database; without Redis, run only one"
        ) from None
    except OSError as error:
        raise ImproperlyConfigured(f"the cache's lock {path}: {error.strerror}") from error
    return lock


def _log_waiting() -> None:
    log.warning("Cache WAITS for the process that owns it to end")


def lock_path(database: Mapping[str, Any]) -> Path | None:
    """Return the path of the lock file of a database; None if the database is in memory.

    Args:
        database: the entry of the database in the Django setting `DATABASES`.
    """
    name = str(database["NAME"])
    if not database["ENGINE"].endswith("sqlite3"):
        identity = repr([database.get(part) for part in ("ENGINE", "HOST", "PORT", "NAME")])
        return Path(tempfile.gettempdir(), f"cachelayer-{hashlib.sha256(identity.encode()).hexdigest()[:16]}.lock")
    return None if ":memory:" in name or "mode=memory" in name else Path(f"{name}.cache")
