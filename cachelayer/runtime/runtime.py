"""The cache of this process: its store, its local tier, its counters, and whether it believes the store.

One `Service` is current at a time, made from the settings when it is first asked for (`current`). A server process
calls `start` before it takes requests. Without Redis there can be one such process; all others are its guests: they
read past the cache, and tell it what they write by the outbox.
"""

import os
import secrets
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING

from django.core.exceptions import ImproperlyConfigured

from cachelayer.conf import Options
from cachelayer.protocol import keys
from cachelayer.protocol.tags import GLOBAL_TAG, Namespaces
from cachelayer.runtime.circuit_breaker import CircuitBreaker
from cachelayer.runtime.local_cache import FOREVER, LocalCache
from cachelayer.runtime.metrics import Counters
from cachelayer.runtime.single_flight import SingleFlight
from cachelayer.stores.base import LOST, Store, StoreDown, StoreFull, StoreSlow
from cachelayer.stores.memory import MemoryStore
from cachelayer.stores.redis import RedisStore
from cachelayer.write.intents import RETRY, InFlightWrites, WriteIntent
from logs.contexts import Context

if TYPE_CHECKING:
    from cachelayer.background.threads import BackgroundThreads

log = Context.CACHE.logger

FULL_EVERY = 60.0  # seconds; how often that is said
PATTERN = "~"  # what a pattern begins with where tags are announced
DOWN = "!"  # announced by who finds that the store can be read and not written


class CacheRuntime:
    """What readers and writers of one process share.

    Attributes:
        live: the writes that have not ended.
        unfinished: the ended ones that the store does not know of yet.
        unheard: how many writes of this process, and of others that said so, could not be announced.
        no_writes_before: until then a write does not try the store, which has just failed (monotonic clock).
        is_guest: whether another process is the one that has the cache.
    """

    def __init__(
        self,
        namespaces: Namespaces,
        make_store: "Callable[[CacheRuntime], Store] | None" = None,
        *,
        is_guest: bool = False,
    ) -> None:
        """Put the parts together; the store is one in this process unless another is made."""
        self.namespaces = namespaces
        self.local = LocalCache(namespaces)
        self.counters = Counters(namespaces)
        self.single_flight = SingleFlight()
        self.breaker = CircuitBreaker(self._degraded)
        self.in_flight = InFlightWrites()
        self.pending_ends: deque[WriteIntent] = deque(maxlen=10_000)
        self.retry_writes_at = 0.0
        self.unannounced_count = 0
        self._full_again_at = 0.0
        self.bypasses_cache = is_guest
        self.client_id = secrets.token_hex(6)
        self.threads: BackgroundThreads | None = None
        self.store: Store = (make_store or _in_process)(self)
        if is_guest:
            self.breaker.is_closed = False

    # --- what happens to the store ------------------------------------------------------------------------------------
    def _degraded(self) -> None:
        self.counters.count("outages")
        self.local.invalidate_all()

    def failed(self, error: Exception) -> None:
        """Note that the store did not do what a reader asked for."""
        if isinstance(error, StoreFull):
            self._full(error)
        else:
            self.breaker.record_failure(error)
            self.ensure_started()

    def _full(self, error: StoreFull) -> None:
        """Note that the store took no entry; what is in it is good."""
        self.counters.count("refused entries")
        now = monotonic()
        if now >= self._full_again_at:
            self._full_again_at = now + FULL_EVERY
            log.warning("Cache FULL: %s; nothing new is kept until there is room", error)

    def write_failed(self, error: Exception) -> None:
        """Note that a write could not be announced: nothing here is believed until the store is back.

        A store that is full or read-only may still answer other processes; they are told, as far as they can be.
        """
        self.retry_writes_at = monotonic() + RETRY
        self.unannounced_count += 1
        self.counters.count("unannounced writes")
        self.breaker.trip(error)
        if not isinstance(error, StoreSlow):
            with suppress(StoreDown, StoreFull):
                self.store.announce(DOWN)
        self.ensure_started()

    def end_failed(self, write: WriteIntent, error: Exception) -> None:
        """Note that a write has ended and the store does not know it."""
        self.pending_ends.append(write)
        self.breaker.record_failure(error)
        self.ensure_started()

    def on_store_replaced(self) -> None:
        """Note that the store is not the one it was: what it held of our writes may be gone."""
        self.counters.count("strange stores")
        log.warning("Cache store was emptied, restarted, or is another one: what was in it is not believed")
        self.local.invalidate([GLOBAL_TAG])
        if self.threads is not None:
            self.threads.wake()

    def on_message(self, words: Sequence[str]) -> None:
        """Take what has been announced."""
        for word in words:
            if word.startswith(LOST):
                self.counters.count("lost intents", int(word[1:]))
                log.warning("Cache store had lost what was announced of a write: %s tags", word[1:])
        if DOWN in words:
            self.unannounced_count += 1
            self.breaker.trip(StoreFull("another process cannot write to it"))
        for pattern in (word[1:] for word in words if word.startswith(PATTERN)):
            self.evict_matching(pattern)
        self.local.invalidate(words)
        if GLOBAL_TAG in words and self.threads is not None:
            self.threads.wake()

    def evict_matching(self, pattern: str) -> None:
        """Remove from the local tier what matches a glob (`names.matches`)."""
        self.local.remove_matching(lambda tier, key: keys.matches(keys.local_key(tier, key), pattern))

    # --- the process --------------------------------------------------------------------------------------------------
    def ensure_started(self) -> None:
        """See to it that this process hears what others announce, and recovers from what it lost."""
        if self.threads is not None:
            self.threads.start()


def _in_process(service: CacheRuntime) -> Store:
    entries = 2 * sum(namespace.max_items for namespace in service.namespaces)
    store = MemoryStore(entries, service.namespaces, listener=service.local.invalidate)
    store.reinitialize(quarantine=False)
    service.local.set_valid_until(FOREVER)
    return store


# --- the one of this process ------------------------------------------------------------------------------------------
namespaces = Namespaces()
_current: CacheRuntime | None = None
_lock = threading.RLock()
_followers: list[Callable[[CacheRuntime], None]] = []


def current() -> CacheRuntime:
    """Return this process' service, made from the settings when there is none yet."""
    return _current if _current is not None else _first()


def _first() -> CacheRuntime:
    with _lock:  # another thread may have been quicker
        return _current if _current is not None else use(make())


def follow(use_it: Callable[[CacheRuntime], None]) -> None:
    """Have a function called with the current service now, and whenever another takes its place."""
    _followers.append(use_it)
    use_it(current())


def use(service: CacheRuntime) -> CacheRuntime:
    """Make a service the current one, and return it."""
    global _current
    with _lock:
        before, _current = _current, service
        for use_it in _followers:
            use_it(service)
    if before is not None and before.threads is not None:
        before.threads.stop()
    if before is not None and isinstance(before.store, RedisStore):
        before.store.release_idle()
    return service


def make(*, is_guest: bool = True) -> CacheRuntime:
    """Make a service as the settings say. Without Redis it is a guest's, unless told otherwise.

    Raises:
        ImproperlyConfigured: the server's URL is none.
    """
    from cachelayer.background.threads import BackgroundThreads  # noqa: PLC0415 - it knows the outbox, a model, and apps may still be loading

    options = Options.read()
    if not options.is_shared:
        return CacheRuntime(namespaces, is_guest=is_guest)
    try:
        service = CacheRuntime(
            namespaces,
            lambda self: RedisStore(
                options.alias, options.prefix, self.client_id, namespaces, self.local.invalidate, self.counters.count
            ),
        )
    except ValueError as error:  # redis-py's, of a URL
        raise ImproperlyConfigured(f"CACHES[{options.alias!r}]: {error}") from error
    service.threads = BackgroundThreads(service)
    return service


def _in_child() -> None:
    """Start anew in a forked process: the threads are gone, and in-process the cache stays with the parent."""
    global _current, _lock
    before, _current, _lock = _current, None, threading.RLock()  # a thread that is gone may have had the lock
    if before is not None:
        now = use(make())
        if now.threads is not None and before.threads is not None:
            now.threads.inherit(before.threads)


os.register_at_fork(after_in_child=_in_child)
