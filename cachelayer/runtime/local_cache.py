"""The local cache: entries in this process. It is bounded, and touching a tag removes the entries that depend on it.

A hit takes no lock: callers read the plain dict `LocalNamespace.entries`. Everything that changes entries holds the
    lock
of `LocalCache`. The lock also protects the log of touched tags: a value that was read before one of its tags was
touched is not stored after it.
"""

import threading
from collections.abc import Callable, Hashable, Iterable, Iterator
from time import monotonic
from typing import Any

from cachelayer.protocol.tags import GLOBAL_TAG, Namespace, Namespaces

MAX_TOUCH_LOG = 20_000  # touched tags; when there are more, the log is cleared and fills that began before are rejected
FOREVER = float("inf")


class Entry:
    """A cached value.

    Attributes:
        load: returns a fresh copy of the value.
        expires: when the entry expires (monotonic clock).
        tags: all tags that it depends on.
        used: whether it was read since it was last considered for eviction.
    """

    __slots__ = ("expires", "load", "tags", "used")

    def __init__(self, load: Callable[[], Any], expires: float, tags: tuple[str, ...]) -> None:
        self.load = load
        self.expires = expires
        self.tags = tags
        self.used = False


class LocalNamespace:
    """The entries of one namespace: rows by primary key, lists and values by their key.

    Eviction is the clock algorithm (Corbató 1969): an entry that was used gets a second chance. So a hit only sets a
    flag and does not reorder the entries.

    Attributes:
        hits: counted by whoever reads `entries`.
        valid_until: no entry is used after that (monotonic clock); see `LocalCache.set_valid_until`.
    """

    def __init__(self, namespace: Namespace) -> None:
        self.namespace = namespace
        self.entries: dict[Hashable, Entry] = {}
        self.valid_until = 0.0
        self.reset_counts()

    def reset_counts(self) -> None:
        """Set the counters to 0."""
        self.hits = self.fills = self.evictions = self.invalidations = 0

    def get(self, key: Hashable) -> Entry | None:
        """Return the entry and count a hit; return None if it is missing or not valid."""
        entry = self.entries.get(key)
        if entry is not None:
            now = monotonic()
            if now < entry.expires and now < self.valid_until:
                entry.used = True
                self.hits += 1
                return entry
        return None

    def get_many(self, keys: Iterable[Hashable]) -> dict[Any, Entry]:
        """Return the valid entries by key, and count the hits."""
        now, entries = monotonic(), self.entries
        if now >= self.valid_until:
            return {}
        found = {key: entry for key in keys if (entry := entries.get(key)) is not None and now < entry.expires}
        for entry in found.values():
            entry.used = True
        self.hits += len(found)
        return found

    def evict(self) -> Iterator[Hashable]:
        """Yield keys to evict until there is room for one more entry. The caller removes them."""
        while len(self.entries) >= self.namespace.max_items:
            key, entry = next(iter(self.entries.items()))
            if entry.used:
                entry.used = False
                self.entries[key] = self.entries.pop(key)
            else:
                self.evictions += 1
                yield key


class LocalCache:
    """The local entries of all namespaces, the log of touched tags, and until when entries may be used.

    Attributes:
        namespaces: the entries, by the name of their namespace.
        valid_until: see `set_valid_until`.
    """

    def __init__(self, namespaces: Namespaces) -> None:
        self.namespaces: dict[str, LocalNamespace] = {}
        self._namespaces = namespaces
        self._lock = threading.Lock()
        self._by_tag: dict[str, set[tuple[LocalNamespace, Hashable]]] = {}
        self._sequence = 0  # number of invalidations so far
        self._touched: dict[str, int] = {}  # the sequence number at which a tag was last touched
        self._oldest_sequence = 0  # the log is incomplete before this sequence number
        self.valid_until = 0.0
        for namespace in namespaces:
            self.namespace(namespace)

    def namespace(self, namespace: Namespace) -> LocalNamespace:
        """Return the local entries of a namespace."""
        local = self.namespaces.get(namespace.name)
        if local is None:
            local = self.namespaces[namespace.name] = LocalNamespace(namespace)
            local.valid_until = self.valid_until
        return local

    # --- validity -----------------------------------------------------------------------------------------------------
    def set_valid_until(self, until: float) -> None:
        """Let entries be used until this time of the monotonic clock; later invalidations may be missing."""
        self.valid_until = until
        for local in self.namespaces.values():
            local.valid_until = until

    def invalidate_all(self) -> None:
        """Remove all entries, and store none until `set_valid_until` is called."""
        self.set_valid_until(0.0)
        self.invalidate([GLOBAL_TAG])

    def reset(self) -> None:
        """Remove all entries, reject fills that began before, and set the counters to 0."""
        self.set_valid_until(0.0)
        self.remove_matching(lambda _local, _key: True)
        for local in self.namespaces.values():
            local.reset_counts()

    def reset_after_fork(self) -> None:
        """Start empty in a forked child, where another thread of the parent may have held the lock."""
        self._lock = threading.Lock()
        self._by_tag.clear()
        for local in self.namespaces.values():
            local.entries.clear()

    # --- changes ------------------------------------------------------------------------------------------------------
    def sequence(self) -> int:
        """Return the current sequence number. A reader takes it before it reads anything that it passes to `put`."""
        return self._sequence

    def put(  # noqa: PLR0913, PLR0917 - an entry, and when it was read
        self,
        local: LocalNamespace,
        key: Hashable,
        factory: Callable[[], Any],
        tags: tuple[str, ...],
        ttl: float,
        sequence: int,
    ) -> bool:
        """Store an entry unless one of its tags was touched since `sequence`; return whether it was stored.

        Args:
            local: the local entries of its namespace.
            key: a row's primary key, or the key of a list or value.
            factory: returns a fresh copy of the value.
            tags: all tags that the entry depends on, including namespaces and `*`.
            ttl: seconds.
            sequence: what `sequence` returned before the value was read.
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
        """Tell whether one of the tags was, or may have been, touched after this sequence number."""
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
        """Remove the entries that `matches` accepts; return their number. Fills that began before are rejected."""
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
