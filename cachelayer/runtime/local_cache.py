"""The local cache: cache entries in the memory of this process, up to a limit for each namespace.

A hit takes no lock: callers read the plain dict `LocalNamespace.entries`. Every method that adds or removes entries
holds the lock of `LocalCache`. The lock also protects a log of touched tags. With the log of touched tags,
`LocalCache.put` rejects a value that was read before one of its tags was touched.
"""

import threading
from collections.abc import Callable, Hashable, Iterable, Iterator
from time import monotonic
from typing import Any

from cachelayer.protocol.tags import GLOBAL_TAG, Namespace, Namespaces

MAX_TOUCH_LOG = 20_000  # if more touched tags are in the log, it is cleared, and values read earlier are rejected
FOREVER = float("inf")


class Entry:
    """A cached value with its expiry time and tags.

    Attributes:
        load: a function that returns a new copy of the value.
        expires: the time at which the entry expires, on the monotonic clock.
        tags: all tags that the entry depends on.
        used: whether the entry was read since `LocalNamespace.evict` last considered removing it.
    """

    __slots__ = ("expires", "load", "tags", "used")

    def __init__(self, load: Callable[[], Any], expires: float, tags: tuple[str, ...]) -> None:
        self.load = load
        self.expires = expires
        self.tags = tags
        self.used = False


class LocalNamespace:
    """The local entries of one namespace: rows by primary key, lists by a tuple, and plain values by a string.

    Entries are evicted with the clock algorithm (Corbató 1969), which keeps an entry once more if the entry was used
    recently. With this algorithm, a hit only sets the flag `used` of an entry and does not reorder the entries.

    Attributes:
        hits: the number of hits. Code that reads `entries` directly must increment `hits`.
        valid_until: the time on the monotonic clock after which no entry is used (see `LocalCache.set_valid_until`).
    """

    def __init__(self, namespace: Namespace) -> None:
        self.namespace = namespace
        self.entries: dict[Hashable, Entry] = {}
        self.valid_until = 0.0
        self.reset_counts()

    def reset_counts(self) -> None:
        """Set the counters of this namespace to 0."""
        self.hits = self.fills = self.evictions = self.invalidations = 0

    def get(self, key: Hashable) -> Entry | None:
        """Return the valid entry of a key and count a hit; return None if there is no valid entry.

        `FetchManager.fetch` and `cachelayer.cache.get` contain inlined copies of the check in this method. Change the
        copies whenever you change the check.
        """
        entry = self.entries.get(key)
        if entry is not None:
            now = monotonic()
            if now < entry.expires and now < self.valid_until:
                entry.used = True
                self.hits += 1
                return entry
        return None

    def get_many(self, keys: Iterable[Hashable]) -> dict[Any, Entry]:
        """Return the valid entries with these keys, by key, and count the hits."""
        now, entries = monotonic(), self.entries
        if now >= self.valid_until:
            return {}
        found = {key: entry for key in keys if (entry := entries.get(key)) is not None and now < entry.expires}
        for entry in found.values():
            entry.used = True
        self.hits += len(found)
        return found

    def evict(self) -> Iterator[Hashable]:
        """Yield keys, whose entries the caller must remove, until there is room for one more entry."""
        while len(self.entries) >= self.namespace.max_items:
            key, entry = next(iter(self.entries.items()))
            if entry.used:
                entry.used = False
                self.entries[key] = self.entries.pop(key)
            else:
                self.evictions += 1
                yield key


class LocalCache:
    """The local entries of all namespaces, the log of touched tags, and the time until which entries may be used.

    Attributes:
        namespaces: the local entries, by the name of their namespace.
        valid_until: the time on the monotonic clock after which no entry is used (see `set_valid_until`).
    """

    def __init__(self, namespaces: Namespaces) -> None:
        self.namespaces: dict[str, LocalNamespace] = {}
        self._namespaces = namespaces
        self._lock = threading.Lock()
        self._by_tag: dict[str, set[tuple[LocalNamespace, Hashable]]] = {}
        self._sequence = 0  # how often `invalidate` or `remove_matching` was called
        self._touched: dict[str, int] = {}  # the log: by tag, the sequence number at which the tag was last touched
        # `put` rejects values that were read at a lower sequence number, because earlier touches are not recorded.
        self._oldest_sequence = 0
        self.valid_until = 0.0
        for namespace in namespaces:
            self.namespace(namespace)

    def namespace(self, namespace: Namespace) -> LocalNamespace:
        """Return the local entries of a namespace, and add the namespace if it is new."""
        local = self.namespaces.get(namespace.name)
        if local is None:
            local = self.namespaces[namespace.name] = LocalNamespace(namespace)
            local.valid_until = self.valid_until
        return local

    # --- validity -----------------------------------------------------------------------------------------------------
    def set_valid_until(self, until: float) -> None:
        """Allow hits until this time on the monotonic clock, because this process may miss later invalidations."""
        self.valid_until = until
        for local in self.namespaces.values():
            local.valid_until = until

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
        for local in self.namespaces.values():
            local.entries.clear()

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
    ) -> bool:
        """Store an entry, unless one of its tags was touched after `sequence`; return whether the entry was stored.

        Args:
            local: the local entries of the namespace of the entry.
            key: the primary key of a row, or the key of a list or of a plain value.
            factory: a function that returns a new copy of the value.
            tags: all tags that the entry depends on, including the tags of namespaces and `*`.
            ttl: the time to live in seconds.
            sequence: the number that the method `sequence` returned before the value was read.
        """
        now = monotonic()
        with self._lock:
            if now >= self.valid_until or not local.namespace.max_items:
                return False
            if sequence != self._sequence and self._is_touched(tags, sequence):
                return False
            if key in local.entries:
                self._remove(local, key)
            for victim in local.evict():
                self._remove(local, victim)
            local.entries[key] = Entry(factory, now + ttl, tags)
            location = (local, key)
            for tag in tags:
                self._by_tag.setdefault(tag, set()).add(location)
            local.fills += 1
        return True

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
        for tag in entry.tags:
            locations = self._by_tag[tag]
            locations.discard(location)
            if not locations:
                del self._by_tag[tag]
