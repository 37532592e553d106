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

from cachelayer import names
from cachelayer.conf import Options
from cachelayer.counters import Counters
from cachelayer.flights import Flights
from cachelayer.link import Link
from cachelayer.local import FOREVER, Local
from cachelayer.namespaces import ROOT, Namespaces
from cachelayer.store.base import LOST, Store, StoreDown, StoreFull, StoreSlow
from cachelayer.store.memory import MemoryStore
from cachelayer.store.redis import RedisStore
from cachelayer.writing import RETRY, Live, Write
from logs.contexts import Context

if TYPE_CHECKING:
    from cachelayer.keeper import Keeper

log = Context.CACHE.logger

FULL_EVERY = 60.0  # seconds; how often that is said
PATTERN = "~"  # what a pattern begins with where tags are announced
DOWN = "!"  # announced by who finds that the store can be read and not written


class Service:
    """What readers and writers of one process share.

    Attributes:
        live: the writes that have not ended.
        unfinished: the ended ones that the store does not know of yet.
        unheard: whether a write of this process, or of another that said so, could not be announced since the store was
            last believed.
        no_writes_before: until then a write does not try the store, which has just failed (monotonic clock).
        is_guest: whether another process is the one that has the cache.
    """

    def __init__(
        self, namespaces: Namespaces, make_store: "Callable[[Service], Store] | None" = None, *, is_guest: bool = False
    ) -> None:
        """Put the parts together; the store is one in this process unless another is made."""
        self.namespaces = namespaces
        self.local = Local(namespaces)
        self.counters = Counters(namespaces)
        self.flights = Flights()
        self.link = Link(self._degraded)
        self.live = Live()
        self.unfinished: deque[Write] = deque(maxlen=10_000)
        self.no_writes_before = 0.0
        self.unheard = False
        self._full_again_at = 0.0
        self.is_guest = is_guest
        self.sender = secrets.token_hex(6)
        self.keeper: Keeper | None = None
        self.store: Store = (make_store or _in_process)(self)
        if is_guest:
            self.link.usable = False

    # --- what happens to the store ------------------------------------------------------------------------------------
    def _degraded(self) -> None:
        self.counters.count("outages")
        self.local.distrust()

    def failed(self, error: Exception) -> None:
        """Note that the store did not do what a reader asked for."""
        if isinstance(error, StoreFull):
            self._full(error)
        else:
            self.link.failed(error)
            self.awake()

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
        self.no_writes_before, self.unheard = monotonic() + RETRY, True
        self.counters.count("unannounced writes")
        self.link.open(error)
        if not isinstance(error, StoreSlow):
            with suppress(StoreDown, StoreFull):
                self.store.announce(DOWN)
        self.awake()

    def end_failed(self, write: Write, error: Exception) -> None:
        """Note that a write has ended and the store does not know it."""
        self.unfinished.append(write)
        self.link.failed(error)
        self.awake()

    def strange_store(self) -> None:
        """Note that the store is not the one it was: what it held of our writes may be gone."""
        self.counters.count("strange stores")
        log.warning("Cache store was emptied, restarted, or is another one: what was in it is not believed")
        self.local.invalidate([ROOT])
        if self.keeper is not None:
            self.keeper.hurry()

    def heard(self, words: Sequence[str]) -> None:
        """Take what has been announced."""
        for word in words:
            if word.startswith(LOST):
                self.counters.count("lost intents", int(word[1:]))
                log.warning("Cache store had lost what was announced of a write: %s tags", word[1:])
        if DOWN in words:
            self.unheard = True
            self.link.open(StoreFull("another process cannot write to it"))
        for pattern in (word[1:] for word in words if word.startswith(PATTERN)):
            self.forget(pattern)
        self.local.invalidate(words)
        if ROOT in words and self.keeper is not None:
            self.keeper.hurry()

    def forget(self, pattern: str) -> None:
        """Remove from the local tier what matches a glob (`names.matches`)."""
        self.local.remove(lambda tier, key: names.matches(names.of_local(tier, key), pattern))

    # --- the process --------------------------------------------------------------------------------------------------
    def awake(self) -> None:
        """See to it that this process hears what others announce, and recovers from what it lost."""
        if self.keeper is not None:
            self.keeper.awake()


def _in_process(service: Service) -> Store:
    entries = 2 * sum(namespace.max_items for namespace in service.namespaces)
    store = MemoryStore(entries, service.namespaces, listener=service.local.invalidate)
    store.restore(quarantine=False)
    service.local.trust(FOREVER)
    return store


# --- the one of this process ------------------------------------------------------------------------------------------
namespaces = Namespaces()
_current: Service | None = None
_lock = threading.RLock()
_followers: list[Callable[[Service], None]] = []


def current() -> Service:
    """Return this process' service, made from the settings when there is none yet."""
    return _current if _current is not None else _first()


def _first() -> Service:
    with _lock:  # another thread may have been quicker
        return _current if _current is not None else use(make())


def follow(use_it: Callable[[Service], None]) -> None:
    """Have a function called with the current service now, and whenever another takes its place."""
    _followers.append(use_it)
    use_it(current())


def use(service: Service) -> Service:
    """Make a service the current one, and return it."""
    global _current
    with _lock:
        before, _current = _current, service
        for use_it in _followers:
            use_it(service)
    if before is not None and before.keeper is not None:
        before.keeper.stop()
    if before is not None and isinstance(before.store, RedisStore):
        before.store.rest()
    return service


def make(*, is_guest: bool = True) -> Service:
    """Make a service as the settings say. Without Redis it is a guest's, unless told otherwise.

    Raises:
        ImproperlyConfigured: the server's URL is none.
    """
    from cachelayer.keeper import Keeper  # noqa: PLC0415 - it knows the outbox, a model, and apps may still be loading

    options = Options.read()
    if not options.is_shared:
        return Service(namespaces, is_guest=is_guest)
    try:
        service = Service(
            namespaces,
            lambda self: RedisStore(
                options.alias, options.prefix, self.sender, namespaces, self.local.invalidate, self.counters.count
            ),
        )
    except ValueError as error:  # redis-py's, of a URL
        raise ImproperlyConfigured(f"CACHES[{options.alias!r}]: {error}") from error
    service.keeper = Keeper(service)
    return service


def _in_child() -> None:
    """Start anew in a forked process: the threads are gone, and in-process the cache stays with the parent."""
    global _current, _lock
    before, _current, _lock = _current, None, threading.RLock()  # a thread that is gone may have had the lock
    if before is not None:
        now = use(make())
        if now.keeper is not None and before.keeper is not None:
            now.keeper.take_after(before.keeper)


os.register_at_fork(after_in_child=_in_child)
