"""What a server process does before it takes requests: it gets its cache ready, or says loudly why it cannot."""

import atexit
from contextlib import suppress

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, InterfaceError, connections
from redis import exceptions

from cachelayer import checks
from cachelayer.background.threads import BackgroundThreads
from cachelayer.conf import Options
from cachelayer.runtime import process_lock, runtime
from cachelayer.runtime.runtime import CacheRuntime
from cachelayer.stores.base import StoreDown, StoreFull
from cachelayer.write import outbox
from logs.contexts import Context

STOP_WITHIN = 2.0  # seconds

# What only a change of the settings, or of the server's, can mend.
_REFUSALS = (exceptions.AuthenticationError, exceptions.AuthorizationError, exceptions.ResponseError)
_PASSING = (
    exceptions.ReadOnlyError,
    exceptions.OutOfMemoryError,
    exceptions.ClusterDownError,
    exceptions.TryAgainError,
)
_PASSING_WORDS = ("BUSY", "MISCONF", "NOREPLICAS")  # redis-py has no classes for these

log = Context.CACHE.logger


def start() -> CacheRuntime:
    """Start the cache of this process, and return it.

    A store that cannot be reached is no reason not to serve: everything is answered from the database until it is.

    Raises:
        ImproperlyConfigured: something is set that the cache would be wrong with (`checks.py`); or the store is there
            and will not have us, which only a change of the settings can mend; or there is to be none, and another
            process has the cache.
    """
    _refuse_errors()
    shared = Options.read().is_shared
    now = runtime.current() if shared else _own()
    mode = "shared by all processes" if shared else "of this process alone"
    try:
        now.store.reinitialize(quarantine=False)
    except (StoreDown, StoreFull) as error:
        _refuse_if_for_good(error)
        now.breaker.trip(error)
        told = "Cache FATAL: the store cannot be reached: %s; the database answers until it can"
        log.critical(told, error, exc_info=error)
    keeper = now.threads = now.threads or BackgroundThreads(now)
    keeper.start_serving()
    atexit.register(_stop)
    names = ", ".join(namespace.name for namespace in now.namespaces)
    log.info("Cache STARTED, %s; namespaces: %s", mode, names)
    return now


def _own() -> CacheRuntime:
    """Make this process the one that has the cache: without a server there is one only."""
    process_lock.acquire()
    try:
        outbox.clear()  # the cache is empty, so it has missed nothing
    except DatabaseError as error:
        log.error("Cache outbox cannot be emptied: %s", type(error).__name__)  # noqa: TRY400 - it may quote rows
    finally:
        connections.close_all()
    return runtime.use(runtime.make(is_guest=False))


def _refuse_errors() -> None:
    """Take the errors of the system checks seriously; a server process need not have been started by `manage.py`."""
    found = [one for one in checks.check() if one.is_serious() and not one.is_silenced()]
    if found:
        raise ImproperlyConfigured("; ".join(f"{one.id}: {one.msg} {one.hint}" for one in found))


def _refuse_if_for_good(error: Exception) -> None:
    """Tell a server that refuses us from one that is not there."""
    cause = error.__cause__
    if not isinstance(cause, _REFUSALS) or isinstance(cause, _PASSING) or str(cause).startswith(_PASSING_WORDS):
        return
    raise ImproperlyConfigured(
        f"REDIS_URL: the server refuses: {cause}; it must be Redis 7 or newer, or Valkey, and let us run scripts"
    ) from error


def _stop() -> None:
    """End the threads at the end of the process, and report what was counted last."""
    keeper = runtime.current().threads
    if keeper is not None:
        keeper.stop(STOP_WITHIN)
        with suppress(DatabaseError, InterfaceError):
            keeper.report()
    connections.close_all()
