"""What a server process does before it takes requests: start its cache, or log clearly why it cannot."""

import atexit
from contextlib import suppress

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, InterfaceError, connections
from redis import exceptions

from cachelayer import checks
from cachelayer.background.threads import BackgroundThreads
from cachelayer.conf import Options
from cachelayer.runtime import process_lock
from cachelayer.runtime.runtime import CacheRuntime, get_runtime
from cachelayer.stores.base import StoreDown, StoreFull
from cachelayer.write import outbox
from logs.contexts import Context

STOP_WITHIN = 2.0  # seconds

# Errors that only a change of the settings, or of the server's configuration, can fix …
_PERMANENT = (exceptions.AuthenticationError, exceptions.AuthorizationError, exceptions.ResponseError)
# … except these subclasses of `ResponseError` and these messages, for which redis-py has no classes.
_TEMPORARY = (
    exceptions.ReadOnlyError,
    exceptions.OutOfMemoryError,
    exceptions.ClusterDownError,
    exceptions.TryAgainError,
)
_TEMPORARY_MESSAGES = ("BUSY", "MISCONF", "NOREPLICAS")

log = Context.CACHE.logger


def start() -> CacheRuntime:
    """Start the cache of this process, and return its runtime.

    A store that cannot be reached does not stop the server: reads use the database until the store is back.

    Raises:
        ImproperlyConfigured: a system check found an error; or the store rejects this client for good; or there is no
            Redis and another process owns the cache.
    """
    _raise_check_errors()
    is_shared = Options.read().is_shared
    runtime = get_runtime()
    if not is_shared:
        _own_cache(runtime)
    try:
        runtime.store.reinitialize(quarantine=False)
    except (StoreDown, StoreFull) as error:
        _raise_if_permanent(error)
        runtime.breaker.trip(error)
        log.critical("Cache FATAL: the store cannot be reached: %s; reads use the database", error, exc_info=error)
    if runtime.threads is None:
        runtime.threads = BackgroundThreads(runtime)
    runtime.threads.start_serving()
    atexit.register(_stop)
    mode = "shared by all processes" if is_shared else "of this process alone"
    log.info("Cache STARTED, %s; namespaces: %s", mode, ", ".join(one.name for one in runtime.namespaces))
    return runtime


def _own_cache(runtime: CacheRuntime) -> None:
    """Make this process the one that owns the cache, because without Redis there is only one."""
    process_lock.acquire()
    try:
        outbox.clear()  # the cache is empty, so it has missed no invalidation
    except DatabaseError as error:
        log.error("Cache outbox UNWRITABLE: %s", type(error).__name__)  # noqa: TRY400 - a traceback may quote rows
    finally:
        connections.close_all()
    runtime.use_configured_store(owns_cache=True)


def _raise_check_errors() -> None:
    """Raise the errors of the system checks, because a server process need not have been started by `manage.py`."""
    errors = [one for one in checks.check() if one.is_serious() and not one.is_silenced()]
    if errors:
        raise ImproperlyConfigured("; ".join(f"{one.id}: {one.msg} {one.hint}" for one in errors))


def _raise_if_permanent(error: Exception) -> None:
    """Raise if the server answers and rejects this client for good."""
    cause = error.__cause__
    if isinstance(cause, _TEMPORARY) or str(cause).startswith(_TEMPORARY_MESSAGES):
        return
    if isinstance(cause, _PERMANENT):
        raise ImproperlyConfigured(
            f"REDIS_URL: the server refuses: {cause}; it must be Redis 7 or newer, or Valkey, and allow scripts"
        ) from error


def _stop() -> None:
    """Stop the threads when the process ends, and report the last counts."""
    threads = get_runtime().threads
    if threads is not None:
        threads.stop(STOP_WITHIN)
        with suppress(DatabaseError, InterfaceError):
            threads.report()
    connections.close_all()
