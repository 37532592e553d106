"""Without a server one process has the cache of a database: the one that holds a lock on a file, while it lives.

A second one would not hear what the first one writes. So it waits, for the first may be about to end, as when a server
is restarted without a pause; and then refuses to start.
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

WAIT = 30.0  # seconds; longer than requests under way are given when their server stops

log = Context.CACHE.logger
_held: ExitStack | None = None  # holds the lock until the process ends; forked children do not get it


def acquire() -> None:
    """Take the lock, if the database is one that other processes can have too.

    Raises:
        ImproperlyConfigured: another process has it, or it cannot be had.
    """
    global _held  # noqa: PLW0603 - one of this process
    path = _path(connections[router.db_for_write(Outbox)].settings_dict)
    if path is None or _held is not None:
        return
    lock = ExitStack()
    try:
        lock.enter_context(exclusive_lock(path, timeout=WAIT, on_wait=_log_waiting))
    except AlreadyLocked:
        raise ImproperlyConfigured(
            "REDIS_URL: is empty, and another process has the cache of this database; without a server there is one"
        ) from None
    except OSError as error:
        raise ImproperlyConfigured(f"the cache's lock {path}: {error.strerror}") from error
    _held = lock


def _log_waiting() -> None:
    log.warning("Cache WAITS for the process that has it to end")


def _path(database: Mapping[str, Any]) -> Path | None:
    """Return where the lock of a database is; None for one in memory."""
    name = str(database["NAME"])
    if not database["ENGINE"].endswith("sqlite3"):
        words = repr([database.get(part) for part in ("ENGINE", "HOST", "PORT", "NAME")])
        return Path(tempfile.gettempdir(), f"cachelayer-{hashlib.sha256(words.encode()).hexdigest()[:16]}.lock")
    return None if ":memory:" in name or "mode=memory" in name else Path(f"{name}.cache")
