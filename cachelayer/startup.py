"""Starts the cache of a server process before the process takes requests, or reports why the cache cannot start."""

import atexit
from contextlib import suppress
from gettext import gettext as _

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, InterfaceError, connections
from redis import exceptions

from cachelayer import checks
from cachelayer.background.threads import BackgroundThreads
from cachelayer.conf import Options
from cachelayer.runtime.ownership import Ownership, is_private_database
from cachelayer.runtime.runtime import CacheRuntime, get_runtime
from cachelayer.stores.base import StoreDown, StoreFull
from cachelayer.write import outbox
from logs.contexts import Context

STOP_WITHIN = 2.0  # seconds to wait for the end of each background thread

# Redis errors that only a change of the Django settings or of the Redis configuration can fix, except `_TEMPORARY`.
_PERMANENT = (exceptions.AuthenticationError, exceptions.AuthorizationError, exceptions.ResponseError)
# Redis errors that can disappear without a change of the configuration, although they are `ResponseError`s.
_TEMPORARY = (
    exceptions.ReadOnlyError,
    exceptions.OutOfMemoryError,
    exceptions.ClusterDownError,
    exceptions.TryAgainError,
)
# The first words of temporary Redis errors for which redis-py has no classes.
_TEMPORARY_MESSAGES = ("BUSY", "MISCONF", "NOREPLICAS")

log = Context.CACHE.logger


def start() -> CacheRuntime:
    """Start the cache of this process, and return its runtime.

    A server process starts even if the store does not answer: reads then use the database until the store answers.

    Raises:
        ImproperlyConfigured: a system check found an error; or Redis rejects this client until the configuration is
            changed; or the settings name no Redis server, and another process owns the cache.
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
    """Make this process the owner of the cache. Without Redis, only one process can use the cache.

    If the database does not answer, the recovery thread makes this process the owner later.

    Raises:
        ImproperlyConfigured: another process owns the cache.
    """
    runtime.use_configured_store(owns_cache=True)
    try:
        if not is_private_database():
            ownership = Ownership(runtime)
            runtime.ownership, runtime.owned_until = ownership, 0.0
            runtime.local.set_valid_until(0.0)
            ownership.acquire()
        outbox.clear()  # a process starts with an empty cache, so the outbox has nothing to invalidate
    except DatabaseError as error:
        log.error("Cache outbox UNWRITABLE: %s", type(error).__name__)  # noqa: TRY400 - a traceback may quote rows
    finally:
        connections.close_all()


def _raise_check_errors() -> None:
    """Raise an exception if a system check finds an error. Django runs system checks only in `manage.py` commands."""
    errors = [one for one in checks.check() if one.is_serious() and not one.is_silenced()]
    if errors:
        raise ImproperlyConfigured("; ".join(f"{one.id}: {one.msg} {one.hint}" for one in errors))


def _raise_if_permanent(error: Exception) -> None:
    """Raise `ImproperlyConfigured` if Redis rejects this client until the configuration is changed."""
    cause = error.__cause__
    if isinstance(cause, _TEMPORARY) or str(cause).startswith(_TEMPORARY_MESSAGES):
        return
    if isinstance(cause, _PERMANENT):
        text = _("the server refuses: %(cause)s; it must be Redis 7 or newer, or Valkey, and allow scripts")
        raise ImproperlyConfigured(f"REDIS_URL: {text % {'cause': cause}}") from error


def _stop() -> None:
    """Stop the background threads when the process ends, add the last counts to the database, and end the ownership."""
    runtime = get_runtime()
    if runtime.threads is not None:
        runtime.threads.stop(STOP_WITHIN)
        with suppress(DatabaseError, InterfaceError):
            runtime.threads.report()
    if runtime.ownership is not None:
        with suppress(DatabaseError, InterfaceError):
            runtime.ownership.release()
    connections.close_all()
