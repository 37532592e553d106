"""The local cache: cache entries in the memory of this process, up to a number for each namespace and a size in bytes.

A hit takes no lock: callers read the plain dict `LocalNamespace.entries`. Every method that adds or removes entries
holds the lock of `LocalCache`. The lock also protects a log of touched tags. With the log of touched tags,
`LocalCache.put` rejects a value that was read before one of its tags was touched.
"""

import threading
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import monotonic
from typing import Any

from cachelayer.protocol.tags import GLOBAL_TAG, Namespace, Namespaces

MAX_TOUCH_LOG = 20_000  # if more touched tags are in the log, it is cleared, and values read earlier are rejected
FOREVER = float("inf")

# The memory of an entry is estimated from the length of its payload, because measuring it would take longer than
# decoding. The numbers were measured with `tracemalloc`: 10 to 24 bytes a byte for rows and pages with short texts, 1
# for long texts.
ENTRY_BYTES = 500  # bytes for the entry itself and its tags
BYTES_PER_BYTE = 20  # bytes of memory for each byte of the payload
SWEEP_INTERVAL = 10.0  # seconds between two removals of expired entries
DEFAULT_MAX_BYTES = 64 * 2**20

# Whether this thread loads a value for the cache (see `LocalCache.loading`).
_is_loading: ContextVar[bool] = ContextVar("cachelayer_is_loading", default=False)


class Entry:
    """A cached value with its expiry time and tags.

    Attributes:
        load: a function that returns a new copy of the value.
        expires: the time at which the entry expires, on the monotonic clock.
        tags: all tags that the entry depends on.
        size: the estimated memory in bytes.
        used: whether the entry was read since `LocalNamespace.victim` last considered it.
    """

    __slots__ = ("expires", "load", "size", "tags", "used")

    def __init__(self, load: Callable[[], Any], expires: float, tags: tuple[str, ...], size: int) -> None:
        self.load = load
        self.expires = expires
        self.tags = tags
        self.size = size
        self.used = False


class LocalNamespace:
    """The local entries of one namespace: rows by primary key, lists by a tuple, and plain values by a string.

    Entries are evicted with the clock algorithm (Corbató 1969), which keeps an entry once more if the entry was used
    recently. With this algorithm, a hit only sets the flag `used` of an entry and does not reorder the entries.

    Attributes:
        size: the estimated memory of all entries in bytes.
        hits: the number of hits. Code that reads `entries` directly must increment `hits`.
        valid_until: the time on the monotonic clock after which no entry is used (see `LocalCache.set_valid_until`).
        quick_until: `valid_until`, or 0 while a thread of this process loads a value for the cache. Code that reads
            `entries` directly compares the time with `quick_until`, and otherwise calls `get`.
    """

    def __init__(self, namespace: Namespace) -> None:
        self.namespace = namespace
        self.entries: dict[Hashable, Entry] = {}
        self.size = 0
        self.valid_until = self.quick_until = 0.0
        self.reset_counts()

    def reset_counts(self) -> None:
        """Set the counters of this namespace to 0."""
        self.hits = self.fills = self.evictions = self.invalidations = 0

    def get(self, key: Hashable) -> Entry | None:
        """Return the valid entry of a key and count a hit; return None if there is no valid entry.

        `FetchManager.fetch` and `cachelayer.cache.get` contain inlined copies of the check with `quick_until`. Change
        the copies whenever you change the check.
        """
        entry = self.entries.get(key)
        if entry is not None:
            now = monotonic()
            if now < entry.expires and (now < self.quick_until or self._is_valid(now)):
                entry.used = True
                self.hits += 1
                return entry
        return None

    def _is_valid(self, now: float) -> bool:
        return now < self.valid_until and not _is_loading.get()

    def get_many(self, keys: Iterable[Hashable]) -> dict[Any, Entry]:
        """Return the valid entries with these keys, by key, and count the hits."""
        now, entries = monotonic(), self.entries
        if not self._is_valid(now):
            return {}
        found = {key: entry for key in keys if (entry := entries.get(key)) is not None and now < entry.expires}
        for entry in found.values():
            entry.used = True
        self.hits += len(found)
        return found

    def victim(self) -> Hashable:
        """Return the key of the entry that should be evicted first."""
        while True:
            key, entry = next(iter(self.entries.items()))
            if not entry.used:
                return key
            entry.used = False
            self.entries[key] = self.entries.pop(key)


class LocalCache:
    """The local entries of all namespaces, the log of touched tags, and the time until which entries may be used.

    Attributes:
        namespaces: the local entries, by the name of their namespace.
        max_bytes: the estimated memory in bytes that all entries together may take.
        valid_until: the time on the monotonic clock after which no entry is used (see `set_valid_until`).
    """

    def __init__(self, namespaces: Namespaces) -> None:
        self.namespaces: dict[str, LocalNamespace] = {}
        self.max_bytes: float = DEFAULT_MAX_BYTES
        self._namespaces = namespaces
        self._lock = threading.Lock()
        self._by_tag: dict[str, set[tuple[LocalNamespace, Hashable]]] = {}
        self._sequence = 0  # how often `invalidate` or `remove_matching` was called
        self._touched: dict[str, int] = {}  # the log: by tag, the sequence number at which the tag was last touched
        # `put` rejects values that were read at a lower sequence number, because earlier touches are not recorded.
        self._oldest_sequence = 0
        self.valid_until = 0.0
        self._swept_at = 0.0  # when `remove_expired` last removed entries
        self._loads = 0  # how many threads are inside `loading`
        for namespace in namespaces:
            self.namespace(namespace)

    def namespace(self, namespace: Namespace) -> LocalNamespace:
        """Return the local entries of a namespace, and add the namespace if it is new."""
        local = self.namespaces.get(namespace.name)
        if local is None:
            local = self.namespaces[namespace.name] = LocalNamespace(namespace)
            self._update_validity(0)
        return local

    # --- validity -----------------------------------------------------------------------------------------------------
    def set_valid_until(self, until: float) -> None:
        """Allow hits until this time on the monotonic clock, because this process may miss later invalidations."""
        self.valid_until = until
        self._update_validity(0)

    @contextmanager
    def loading(self) -> Iterator[None]:
        """Let this thread skip the local cache inside the `with` block, in which it loads a value from the database.

        The local cache may lag behind writes of other processes for a moment. A value that is computed from entries of
        the local cache, and stored in the shared store, would stay as old for its whole time to live.
        """
        token = _is_loading.set(True)
        self._update_validity(1)
        try:
            yield
        finally:
            self._update_validity(-1)
            _is_loading.reset(token)

    def _update_validity(self, new_loads: int) -> None:
        """Add to the number of threads that load values, and copy the validity to all namespaces."""
        with self._lock:
            self._loads = max(self._loads + new_loads, 0)  # a child that is forked inside of `loading` begins with 0
            for local in self.namespaces.values():
                local.valid_until = self.valid_until
                local.quick_until = 0.0 if self._loads else self.valid_until

    def invalidate_all(self) -> None:
        """Remove all entries, and reject new entries until `set_valid_until` is called."""
        self.set_valid_until(0.0)
        self.invalidate([GLOBAL_TAG])

    def reset(self) -> None:
        """Remove all entries, reject values that were read before this call, and set the counters to 0."""
        self.set_valid_until(0.0)
        self.remove_matching(lambda _local, _key: True)
        for local in self.namespaces.values():
            local.reset_counts()

    def reset_after_fork(self) -> None:
        """Remove all entries in a forked child, and replace the lock, which a thread of the parent may hold."""
        self._lock = threading.Lock()
        self._by_tag.clear()
        self._loads = 0
        for local in self.namespaces.values():
            local.entries.clear()
            local.size = 0
        self._update_validity(0)

    # --- changes ------------------------------------------------------------------------------------------------------
    def sequence(self) -> int:
        """Return the current sequence number. Call this method before you read a value that you will pass to `put`."""
        return self._sequence

    def put(  # noqa: PLR0913, PLR0917 - an entry has many attributes
        self,
        local: LocalNamespace,
        key: Hashable,
        factory: Callable[[], Any],
        tags: tuple[str, ...],
        ttl: float,
        sequence: int,
        length: int = 0,
    ) -> bool:
        """Store an entry, unless one of its tags was touched after `sequence`; return whether the entry was stored.

        Entries that were not used recently are evicted to make room.

        Args:
            local: the local entries of the namespace of the entry.
            key: the primary key of a row, or the key of a list or of a plain value.
            factory: a function that returns a new copy of the value.
            tags: all tags that the entry depends on, including the tags of namespaces and `*`.
            ttl: the time to live in seconds.
            sequence: the number that the method `sequence` returned before the value was read.
            length: the length of the payload in bytes. An entry that would take more than half of `max_bytes` is not
                stored.
        """
        now, size = monotonic(), ENTRY_BYTES + BYTES_PER_BYTE * length
        with self._lock:
            if now >= self.valid_until or not local.namespace.max_items or size > self.max_bytes / 2:
                return False
            if sequence != self._sequence and self._is_touched(tags, sequence):
                return False
            if key in local.entries:
                self._remove(local, key)
            self._make_room(local, size)
            local.entries[key] = Entry(factory, now + ttl, tags, size)
            local.size += size
            location = (local, key)
            for tag in tags:
                self._by_tag.setdefault(tag, set()).add(location)
            local.fills += 1
        return True

    def _make_room(self, local: LocalNamespace, size: int) -> None:
        """Evict entries until one more entry of a namespace, of the given size, can be stored."""
        while len(local.entries) >= local.namespace.max_items:
            self._evict(local)
        while (total := sum(one.size for one in self.namespaces.values())) and total + size > self.max_bytes:
            self._evict(max(self.namespaces.values(), key=lambda one: one.size))

    def _evict(self, local: LocalNamespace) -> None:
        self._remove(local, local.victim())
        local.evictions += 1

    def remove_expired(self) -> None:
        """Every 10 s, remove the entries whose time to live is over, which would take memory until they are evicted."""
        now = monotonic()
        if now - self._swept_at < SWEEP_INTERVAL:
            return
        self._swept_at = now
        with self._lock:
            for local in self.namespaces.values():
                for key in [key for key, entry in local.entries.items() if entry.expires <= now]:
                    self._remove(local, key)

    def _is_touched(self, tags: Iterable[str], sequence: int) -> bool:
        """Tell whether one of these tags may have been touched after this sequence number."""
        return sequence < self._oldest_sequence or any(self._touched.get(tag, 0) > sequence for tag in tags)

    def invalidate(self, tags: Iterable[str]) -> None:
        """Remove every entry that depends on one of these tags."""
        with self._lock:
            self._sequence += 1
            for tag in tags:
                self._touched[tag] = self._sequence
                for local, key in list(self._by_tag.get(tag, ())):
                    self._remove(local, key)
                    local.invalidations += 1
            if len(self._touched) > MAX_TOUCH_LOG:
                self._touched.clear()
                self._oldest_sequence = self._sequence

    def remove_matching(self, matches: Callable[[LocalNamespace, Hashable], bool]) -> int:
        """Remove the entries for which `matches` returns True, and return the number of these entries.

        `put` rejects values that were read before `remove_matching` was called.
        """
        with self._lock:
            self._sequence += 1
            self._oldest_sequence = self._sequence
            found = [(local, key) for local in self.namespaces.values() for key in local.entries if matches(local, key)]
            for local, key in found:
                self._remove(local, key)
                local.invalidations += 1
        return len(found)

    def _remove(self, local: LocalNamespace, key: Hashable) -> None:
        entry, location = local.entries.pop(key), (local, key)
        local.size -= entry.size
        for tag in entry.tags:
            locations = self._by_tag[tag]
            locations.discard(location)
            if not locations:
                del self._by_tag[tag]
