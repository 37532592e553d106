"""The cache of one process: its store, its local cache, its counters, and whether it trusts the store.

There is one `CacheRuntime` a process (`get_runtime`). Its store is opened from the settings when it is first needed,
and can be replaced (`use_store`): readers and managers keep the runtime, not the store.

Without Redis, one server process owns the cache. Every other process bypasses it: it reads from the database, and
reports its writes through the outbox.
"""

import secrets
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any, Protocol, Self

from django.core.exceptions import ImproperlyConfigured

from cachelayer.conf import Options
from cachelayer.protocol import keys
from cachelayer.protocol.messages import LOST, PATTERN, STORE_READ_ONLY
from cachelayer.protocol.tags import GLOBAL_TAG, Namespaces
from cachelayer.runtime.circuit_breaker import CircuitBreaker
from cachelayer.runtime.in_flight import InFlightWrite, InFlightWrites
from cachelayer.runtime.local_cache import FOREVER, LocalCache
from cachelayer.runtime.metrics import Counters
from cachelayer.runtime.single_flight import SingleFlight
from cachelayer.stores.base import Store, StoreDown, StoreFull, StoreSlow
from cachelayer.stores.memory import MemoryStore
from cachelayer.stores.redis import RedisStore
from logs.contexts import Context
from logs.fork import after_fork

log = Context.CACHE.logger

FULL_LOG_INTERVAL = 60.0  # seconds between two warnings about a full store
WRITE_RETRY_DELAY = 0.1  # seconds in which writes do not try a store that has just failed
MAX_PENDING_ENDS = 10_000


class Background(Protocol):
    """The background threads, as the runtime sees them (`cachelayer.background.threads.BackgroundThreads`)."""

    def start(self) -> None:
        """Start the threads, once."""

    def start_serving(self) -> None:
        """Start the threads in a process that answers requests."""

    def wake(self) -> None:
        """Renew intents and recover now."""

    def report(self) -> None:
        """Add the counters to the sums in the database."""

    def stop(self, within: float = 0.0) -> None:
        """Stop the threads; wait for each of them up to `within` seconds."""

    def inherit(self, parent: Any) -> None:
        """Serve requests if the process that this one was forked from did."""


class CacheRuntime:
    """The state that readers and writers of one process share.

    Attributes:
        store: the shared store, or one inside this process.
        threads: the background threads; None while this process needs none.
        bypasses_cache: whether another process owns the cache, so that this one reads from the database.
        in_flight: the writes that have not ended.
        pending_ends: ended writes whose end could not be sent to the store.
        unannounced_count: how many writes, here and reported by other processes, could not be announced.
        retry_writes_at: until then writes do not try the store, which has just failed (monotonic clock).
        client_id: names this process on the invalidation channel.
    """

    store: Store

    def __init__(self, namespaces: Namespaces) -> None:
        """Prepare a runtime without a store."""
        self.namespaces = namespaces
        self.local = LocalCache(namespaces)
        self.counters = Counters(namespaces)
        self.breaker = CircuitBreaker(self._on_breaker_open)
        self.make_threads: Callable[[CacheRuntime], Background] | None = None
        self.threads: Background | None = None
        self._lock = threading.RLock()
        self._init_state()

    def _init_state(self) -> None:
        """Set everything that belongs to one store."""
        self.is_open = False
        self.bypasses_cache = False
        self.single_flight = SingleFlight()
        self.in_flight = InFlightWrites()
        self.pending_ends: deque[InFlightWrite] = deque(maxlen=MAX_PENDING_ENDS)
        self.unannounced_count = 0
        self.retry_writes_at = 0.0
        self.client_id = secrets.token_hex(6)
        self._log_full_at = 0.0

    # --- the store ----------------------------------------------------------------------------------------------------
    def open(self) -> None:
        """Use the store that the settings name, unless there is a store already.

        Raises:
            ImproperlyConfigured: REDIS_URL is not a URL.
        """
        with self._lock:  # another thread may have been faster
            if not self.is_open:
                self.use_configured_store()

    def use_configured_store(self, *, owns_cache: bool = False) -> Self:
        """Use the store that the settings name; return this runtime.

        Args:
            owns_cache: without Redis, keep the cache in this process; otherwise this process bypasses the cache.

        Raises:
            ImproperlyConfigured: REDIS_URL is not a URL.
        """
        options = Options.read()
        if not options.is_shared:
            return self.use_store(memory_store, bypasses_cache=not owns_cache)
        try:
            return self.use_store(lambda runtime: _redis_store(runtime, options))
        except ValueError as error:  # redis-py raises it for a malformed URL
            raise ImproperlyConfigured(f"CACHES[{options.alias!r}]: {error}") from error

    def use_store(self, make_store: "Callable[[CacheRuntime], Store]", *, bypasses_cache: bool = False) -> Self:
        """Replace the store; return this runtime. The local cache is emptied, and the counters start at 0."""
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
        self.breaker.is_closed = not bypasses_cache
        self.bypasses_cache = bypasses_cache
        self.store = make_store(self)
        self.is_open = True
        shares = self.store.is_shared and self.make_threads is not None
        self.threads = self.make_threads(self) if shares and self.make_threads is not None else None

    def verify_connection(self, connection: Any) -> None:
        """Check the server behind a new connection before anything is read from it.

        Raises:
            StoreDown: the server cannot be used.
        """
        if self.store.verify_connection(connection):
            self.on_store_replaced()

    def reset_after_fork(self) -> None:
        """Start again in a forked child: threads do not survive a fork, and an in-process cache stays the parent's."""
        self._lock = threading.RLock()  # a thread of the parent may have held the old one
        self.local.reset_after_fork()
        self.counters.reset_after_fork()
        if not self.is_open:
            return
        parent, self.is_open = self.threads, False
        self.use_configured_store()
        if self.threads is not None and parent is not None:
            self.threads.inherit(parent)

    # --- what happens to the store ------------------------------------------------------------------------------------
    def _on_breaker_open(self) -> None:
        self.counters.count("outages")
        self.local.invalidate_all()

    def on_read_error(self, error: Exception) -> None:
        """Handle a store error of a reader."""
        if isinstance(error, StoreFull):
            self._on_full(error)
        else:
            self.breaker.record_failure(error)
            self.ensure_started()

    def _on_full(self, error: StoreFull) -> None:
        """Count a fill that was rejected; entries in the store stay valid."""
        self.counters.count("refused entries")
        now = monotonic()
        if now >= self._log_full_at:
            self._log_full_at = now + FULL_LOG_INTERVAL
            log.warning("Cache FULL: %s; new entries are not stored until there is room", error)

    def on_write_error(self, error: Exception) -> None:
        """Handle a write that could not be announced: trip the breaker, because other writes may be missing as well.

        A store that is full or read-only may still answer other processes, so they are notified if that is possible.
        """
        self.retry_writes_at = monotonic() + WRITE_RETRY_DELAY
        self.unannounced_count += 1
        self.counters.count("unannounced writes")
        self.breaker.trip(error)
        if not isinstance(error, StoreSlow):
            with suppress(StoreDown, StoreFull):
                self.store.announce(STORE_READ_ONLY)
        self.ensure_started()

    def on_end_error(self, write: InFlightWrite, error: Exception) -> None:
        """Handle a write whose end could not be sent to the store: the heartbeat sends it again."""
        self.pending_ends.append(write)
        self.breaker.record_failure(error)
        self.ensure_started()

    def on_store_replaced(self) -> None:
        """Handle a store that was emptied, restarted or replaced: intents of this process may be gone."""
        self.counters.count("strange stores")
        log.warning("Cache store REPLACED: it was emptied, restarted, or is another server; its entries are not used")
        self.local.invalidate([GLOBAL_TAG])
        self._wake_threads()

    def on_message(self, words: Sequence[str]) -> None:
        """Handle the words of a message on the invalidation channel (`cachelayer.protocol.messages`)."""
        for word in words:
            if word.startswith(LOST):
                self.counters.count("lost intents", int(word.removeprefix(LOST)))
                log.warning("Cache store LOST intents of a write: %s tags", word.removeprefix(LOST))
            elif word.startswith(PATTERN):
                self.evict_matching(word.removeprefix(PATTERN))
        if STORE_READ_ONLY in words:
            self.unannounced_count += 1
            self.breaker.trip(StoreFull("another process cannot write to it"))
        self.local.invalidate(words)
        if GLOBAL_TAG in words:
            self._wake_threads()

    def evict_matching(self, pattern: str) -> None:
        """Remove the entries of the local cache whose key matches a glob (`keys.matches`)."""
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
    """Return an in-process store for `use_store`."""
    max_entries = 2 * sum(namespace.max_items for namespace in runtime.namespaces)
    store = MemoryStore(max_entries, runtime.namespaces, on_touch=runtime.local.invalidate)
    store.reinitialize(quarantine=False)
    runtime.local.set_valid_until(FOREVER)
    return store


def _redis_store(runtime: CacheRuntime, options: Options) -> Store:
    return RedisStore(
        options.alias,
        options.prefix,
        runtime.client_id,
        runtime.namespaces,
        on_touch=runtime.local.invalidate,
        count=runtime.counters.count,
    )


# --- the runtime of this process --------------------------------------------------------------------------------------
namespaces = Namespaces()
runtime = CacheRuntime(namespaces)


def get_runtime() -> CacheRuntime:
    """Return the runtime of this process, with its store opened."""
    if not runtime.is_open:
        runtime.open()
    return runtime


after_fork(runtime.reset_after_fork)
