"""The class `CacheRuntime`, which holds the store, the local cache, the counters and the circuit breaker of a process.

A process has one `CacheRuntime`, which `get_runtime` returns. The runtime opens the store that the Django settings name
when the store is first needed. `use_store` can replace the store, because readers and managers refer to the runtime and
not to the store.

Without Redis, one server process owns the cache. Every other process bypasses the cache: such a process reads from the
database, and records the tags of its writes in the outbox.
"""

import secrets
import threading
from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any, Protocol, Self

from django.core.exceptions import ImproperlyConfigured

from cachelayer.conf import Options
from cachelayer.protocol import keys
from cachelayer.protocol.messages import LOST, PATTERN
from cachelayer.protocol.tags import GLOBAL_TAG, Namespaces
from cachelayer.runtime.circuit_breaker import CircuitBreaker
from cachelayer.runtime.histograms import FAST, ROUND_TRIP, histogram
from cachelayer.runtime.in_flight import InFlightWrite, InFlightWrites
from cachelayer.runtime.local_cache import FOREVER, LocalCache
from cachelayer.runtime.metrics import Counters
from cachelayer.runtime.single_flight import SingleFlight
from cachelayer.runtime.write_listeners import WriteListeners
from cachelayer.stores.base import Store, StoreDown, StoreFull
from cachelayer.stores.memory import MemoryStore
from cachelayer.stores.redis import RedisStore
from logs import spans
from logs.contexts import Context
from logs.fork import after_fork

log = Context.CACHE.logger

FULL_LOG_INTERVAL = 60.0  # seconds between two warnings in the log about a full store
WRITE_RETRY_DELAY = 0.1  # seconds after a failed write in which writes do not try to reach the store
MAX_PENDING_ENDS = 10_000  # ended writes whose intents are still to be released; older ones are dropped


class Background(Protocol):
    """The methods of `cachelayer.background.threads.BackgroundThreads` that the `CacheRuntime` uses."""

    def start(self) -> None:
        """Start the threads at the first call; further calls do nothing."""

    def start_serving(self) -> None:
        """Start the threads in a process that answers requests."""

    def wake(self) -> None:
        """Wake the heartbeat and the recovery thread."""

    def report(self) -> None:
        """Add the counters of this process to the sums in the database."""

    def stop(self, within: float = 0.0) -> None:
        """Tell the threads to stop, and wait up to `within` seconds for each thread to end."""

    def inherit(self, parent: Any) -> None:
        """Copy from the threads of the parent process of a fork whether this process answers requests."""


class Renewable(Protocol):
    """The methods of `cachelayer.runtime.ownership.Ownership` that other modules call.

    Every method may raise `DatabaseError`.
    """

    def renew_if_due(self) -> None:
        """Renew the ownership if the last renewal is long ago, or look whether the owner has ended."""

    def release(self) -> None:
        """Let another process own the cache at once."""


class CacheRuntime:
    """What readers and writers of one process share.

    Attributes:
        store: the store on a Redis server, or a store in the memory of this process.
        listeners: callbacks that run after writes of this process and of others.
        threads: the background threads; None if this process needs no threads.
        bypasses_cache: whether another process owns the cache, so that this process reads from the database.
        in_flight: the writes of this process that have not ended.
        pending_ends: writes that have ended, but whose intents the store could not release.
        retry_writes_at: the time on the monotonic clock until which writes do not call a store that has just failed.
        client_id: the id of this process in invalidation messages.
        ownership: without Redis, the claim of this process on the cache of the database; otherwise None.
        owned_until: the time on the monotonic clock until which this process owns a cache in its memory.
    """

    store: Store

    def __init__(self, namespaces: Namespaces) -> None:
        """Make a runtime that has no store yet."""
        self.namespaces = namespaces
        self.local = LocalCache(namespaces)
        self.counters = Counters(namespaces)
        self.breaker = CircuitBreaker(self._on_breaker_open)
        self.listeners = WriteListeners()
        self.make_threads: Callable[[CacheRuntime], Background] | None = None
        self.threads: Background | None = None
        self._lock = threading.RLock()
        self._init_state()

    def _init_state(self) -> None:
        """Set the attributes that must be reset when the store is replaced."""
        self.is_open = False
        self.bypasses_cache = False
        self.single_flight = SingleFlight()
        self.in_flight = InFlightWrites()
        self.pending_ends: deque[InFlightWrite] = deque(maxlen=MAX_PENDING_ENDS)
        self.retry_writes_at = 0.0
        self.client_id = secrets.token_hex(6)
        self._log_full_at = 0.0
        self._database_identity = ""
        self.ownership: Renewable | None = None
        self.owned_until = FOREVER

    # --- the store ----------------------------------------------------------------------------------------------------
    def open(self) -> None:
        """Open the store that the Django settings name, unless the runtime has a store already.

        Raises:
            ImproperlyConfigured: REDIS_URL is not a URL.
        """
        with self._lock:  # another thread may have opened the store before
            if not self.is_open:
                self.use_configured_store()

    def use_configured_store(self, *, owns_cache: bool = False) -> Self:
        """Replace the store by the store that the Django settings name; return this runtime.

        Args:
            owns_cache: without a Redis server, True lets this process use the cache, and False lets this process bypass
                the cache.

        Raises:
            ImproperlyConfigured: REDIS_URL is not a URL.
        """
        options = Options.read()
        self.local.max_bytes = options.local_bytes
        if not options.is_shared:
            return self.use_store(memory_store, bypasses_cache=not owns_cache)
        try:
            return self.use_store(lambda runtime: _redis_store(runtime, options))
        except ValueError as error:  # redis-py raises ValueError for a malformed URL
            raise ImproperlyConfigured(f"CACHES[{options.alias!r}]: {error}") from error

    def use_store(self, make_store: "Callable[[CacheRuntime], Store]", *, bypasses_cache: bool = False) -> Self:
        """Replace the store, clear the local cache, and set the counters to 0; return this runtime."""
        with self._lock:
            if self.is_open:
                if self.threads is not None:
                    self.threads.stop()
                self.store.release_idle()
            self._replace(make_store, bypasses_cache=bypasses_cache)
        return self

    def _replace(self, make_store: "Callable[[CacheRuntime], Store]", *, bypasses_cache: bool) -> None:
        self._init_state()
        self.local.reset()
        self.counters.reset()
        self.bypasses_cache = bypasses_cache
        self.store = make_store(self)
        self.is_open = True
        is_shared = self.store.subscribe is not None
        self.breaker.start(trusted_until=0.0 if is_shared else FOREVER)  # a store in memory accepts all writes
        self.breaker.is_closed = not bypasses_cache
        self.threads = self.make_threads(self) if is_shared and self.make_threads is not None else None

    def verify_connection(self, connection: Any) -> None:
        """Check the Redis server of a new connection before anything is read from the connection.

        Raises:
            StoreDown: the Redis server cannot be used.
        """
        with self.breaker.attempt_write():
            if self.store.verify_connection(connection):
                self.on_store_replaced()

    def check_store(self) -> None:
        """Check that the store accepts writes, and that it has not been emptied, promoted or replaced.

        The heartbeat calls this method several times a second.

        Raises:
            StoreDown: the store does not answer, or rejects writes.
        """
        with self.breaker.attempt_write():
            if self.store.reinitialize(quarantine=False):
                self.on_store_replaced()
        self.breaker.has_heartbeat = True

    def reset_after_fork(self) -> None:
        """Open the store again in a forked child, where no thread runs and a cache in memory belongs to the parent."""
        self._lock = threading.RLock()  # a thread of the parent process may hold the old lock
        self.listeners.clear()
        self.local.reset_after_fork()
        self.counters.reset_after_fork()
        if not self.is_open:
            return
        parent, self.is_open = self.threads, False
        self.use_configured_store()
        if self.threads is not None and parent is not None:
            self.threads.inherit(parent)

    def note_database(self, identity: str) -> None:
        """Invalidate all entries if the database was restarted or replaced, and so may have lost commits.

        Args:
            identity: names the database server and its last start (`cachelayer.runtime.database_identity`).
        """
        if identity == self._database_identity:
            return
        try:
            if self.store.note_database(identity, self._database_identity):
                self.counters.count("database restarts")
                log.warning("Cache database REPLACED: it was restarted, or is another server; all rows are read again")
        except (StoreDown, StoreFull) as error:
            self.on_write_error(error)  # the recovery from an outage invalidates all entries too
        else:
            self._database_identity = identity

    # --- what happens to the store ------------------------------------------------------------------------------------
    def _on_breaker_open(self) -> None:
        self.counters.count("outages")
        self.local.invalidate_all()

    def on_read_error(self, error: Exception) -> None:
        """Handle an exception of the store that a reader has caught."""
        if isinstance(error, StoreFull):
            self._on_full(error)
        else:
            self.breaker.record_failure(error)
            self.ensure_started()

    def _on_full(self, error: StoreFull) -> None:
        """Count an entry that a full store has rejected; entries that are in the store stay valid."""
        self.counters.count("rejected fills")
        now = monotonic()
        if now >= self._log_full_at:
            self._log_full_at = now + FULL_LOG_INTERVAL
            log.warning("Cache FULL: %s; new entries are not stored until there is room", error)

    def on_write_error(self, error: Exception) -> None:
        """Handle a write whose tags the store did not accept: open the circuit breaker."""
        self.retry_writes_at = monotonic() + WRITE_RETRY_DELAY
        self.counters.count("unannounced writes")
        self.breaker.count_unannounced(error)
        self.ensure_started()

    def on_end_error(self, write: InFlightWrite, error: Exception) -> None:
        """Handle an ended write whose intents the store did not release: the heartbeat tries to release them again."""
        self.pending_ends.append(write)
        self.breaker.record_failure(error)
        self.ensure_started()

    def on_store_replaced(self) -> None:
        """Handle a store that was emptied, restarted or replaced, and so may have lost intents of this process.

        All entries of the local cache are removed, and the background threads are woken to renew the intents.
        """
        self.counters.count("store replacements")
        log.warning("Cache store REPLACED: it was emptied, restarted, or is another server; its entries are not used")
        self.local.invalidate([GLOBAL_TAG])
        self._wake_threads()

    def on_message(self, words: Sequence[str]) -> None:
        """Handle the words of an invalidation message (`cachelayer.protocol.messages`)."""
        for word in words:
            if word.startswith(LOST):
                if lost := int(word.removeprefix(LOST)):
                    self.counters.count("lost intents", lost)
                    log.warning("Cache store LOST intents of a write: %d tags", lost)
            elif word.startswith(PATTERN):
                self.evict_matching(word.removeprefix(PATTERN))
        self.local.invalidate(words)
        self.listeners.notify()
        if GLOBAL_TAG in words:
            self._wake_threads()

    def evict_matching(self, pattern: str) -> None:
        """Remove the entries of the local cache whose cache key matches a glob (`keys.matches`)."""
        self.local.remove_matching(lambda entries, key: keys.matches(keys.local_key(entries.namespace, key), pattern))

    # --- background threads -------------------------------------------------------------------------------------------
    def ensure_started(self) -> None:
        """Open the store, and start the background threads if this process needs them."""
        if not self.is_open:
            self.open()
        if self.threads is not None:
            self.threads.start()

    def _wake_threads(self) -> None:
        if self.threads is not None:
            self.threads.wake()


def memory_store(runtime: CacheRuntime) -> Store:
    """Return a new store in the memory of this process, for the argument `make_store` of `use_store`."""
    store = MemoryStore(
        runtime.local.max_bytes,
        runtime.namespaces,
        on_touch=runtime.local.invalidate,
        usable_until=lambda: runtime.owned_until,
    )
    store.reinitialize(quarantine=False)
    runtime.local.set_valid_until(FOREVER)
    return store


def _redis_store(runtime: CacheRuntime, options: Options) -> Store:
    return RedisStore(
        options.alias,
        options.prefix,
        runtime.client_id,
        runtime.namespaces,
        options.seal_keys(),
        on_touch=runtime.local.invalidate,
        count=runtime.counters.count,
        observe=_round_trip_observer(),
    )


def _round_trip_observer() -> Callable[[float], None]:
    """Return what counts a round trip, and also records it if spans are recorded."""
    observe, recorder = histogram(ROUND_TRIP, FAST).observe, spans.recorder
    if recorder is None:
        return observe

    def observe_and_record(seconds: float) -> None:
        observe(seconds)
        recorder.past("store", seconds, {"db.system.name": "redis"})

    return observe_and_record


# --- the runtime of this process --------------------------------------------------------------------------------------
namespaces = Namespaces()
runtime = CacheRuntime(namespaces)
write_listeners = runtime.listeners


def get_runtime() -> CacheRuntime:
    """Return the `CacheRuntime` of this process; open its store if the store is not open yet."""
    if not runtime.is_open:
        runtime.open()
    return runtime


after_fork(runtime.reset_after_fork)
