"""The local tier: entries in this process, bounded, immutable, and gone as soon as one of their tags is touched.

A hit takes no lock (`LocalTier.entries` is a plain dict and is read as one). Everything that changes a tier is under
one lock of `Local`, which also holds the guard: what was read before a tag was touched is not stored after it.
"""

import threading
from collections.abc import Callable, Hashable, Iterable, Iterator
from time import monotonic
from typing import Any

from cachelayer.protocol.tags import GLOBAL_TAG, Namespace, Namespaces

MAX_TOUCH_LOG = 20_000  # touched tags; a fill older than the oldest of them is refused
FOREVER = float("inf")


class Entry:
    """One stored value: how to make a fresh copy of it, until when it holds, and the tags it depends on."""

    __slots__ = ("expires", "tags", "load", "used")

    def __init__(self, thaw: Callable[[], Any], expires: float, tags: tuple[str, ...]) -> None:
        self.load = thaw
        self.expires = expires
        self.tags = tags
        self.used = False


class LocalNamespace:
    """One namespace's entries: rows by primary key, everything else by name.

    `hits` is counted by whoever reads `entries`. Rows that were used since the last round of evictions get a second
    chance (the clock algorithm, Corbató 1969), so that a hit has nothing to move.
    """

    def __init__(self, namespace: Namespace) -> None:
        self.namespace = namespace
        self.entries: dict[Hashable, Entry] = {}
        self.valid_until = 0.0
        self.reset_counts()

    def reset_counts(self) -> None:
        """Count from 0 again."""
        self.hits = self.fills = self.evictions = self.invalidations = 0

    def get(self, key: Hashable) -> Entry | None:
        """Return the entry that is valid now, and count it as a hit."""
        entry = self.entries.get(key)
        if entry is not None:
            now = monotonic()
            if now < entry.expires and now < self.valid_until:
                entry.used = True
                self.hits += 1
                return entry
        return None

    def get_many(self, keys: Iterable[Hashable]) -> dict[Any, Entry]:
        """Return the entries that are valid now, by key; see `get`."""
        now, entries = monotonic(), self.entries
        if now >= self.valid_until:
            return {}
        found = {key: entry for key in keys if (entry := entries.get(key)) is not None and now < entry.expires}
        for entry in found.values():
            entry.used = True
        self.hits += len(found)
        return found

    def evict(self) -> Iterator[Hashable]:
        """Yield keys to evict until there is room for one more; the caller removes them."""
        while len(self.entries) >= self.namespace.max_items:
            key, entry = next(iter(self.entries.items()))
            if entry.used:
                entry.used = False
                self.entries[key] = self.entries.pop(key)
            else:
                self.evictions += 1
                yield key


class LocalCache:
    """The tiers of all namespaces, what is known of touched tags, and whether any of it may be trusted."""

    def __init__(self, namespaces: Namespaces) -> None:
        self.namespaces: dict[str, LocalNamespace] = {}
        self._namespaces = namespaces
        self._lock = threading.Lock()
        self._by_tag: dict[str, set[tuple[LocalNamespace, Hashable]]] = {}
        self._sequence = 0  # of touches
        self._touched: dict[str, int] = {}
        self._oldest_sequence = 0  # nothing is remembered of touches before this one
        self.valid_until = 0.0
        for namespace in namespaces:
            self.namespace(namespace)

    def namespace(self, namespace: Namespace) -> LocalNamespace:
        """Return a namespace's tier."""
        tier = self.namespaces.get(namespace.name)
        if tier is None:
            tier = self.namespaces[namespace.name] = LocalNamespace(namespace)
            tier.valid_until = self.valid_until
        return tier

    # --- trust --------------------------------------------------------------------------------------------------------
    def set_valid_until(self, until: float) -> None:
        """Answer from here until that moment of the monotonic clock."""
        self.valid_until = until
        for tier in self.namespaces.values():
            tier.valid_until = until

    def invalidate_all(self) -> None:
        """Answer nothing from here, and forget it all."""
        self.set_valid_until(0.0)
        self.invalidate([GLOBAL_TAG])

    def reset(self) -> None:
        """Drop all entries, refuse fills that began before, and count from 0 again."""
        self.set_valid_until(0.0)
        self.remove_matching(lambda _entries, _key: True)
        for entries in self.namespaces.values():
            entries.reset_counts()

    def reset_after_fork(self) -> None:
        """Start empty in a forked child, where another thread of the parent may have held the lock."""
        self._lock = threading.Lock()
        self._by_tag.clear()
        for entries in self.namespaces.values():
            entries.entries.clear()

    # --- changes ------------------------------------------------------------------------------------------------------
    def sequence(self) -> int:
        """Return the present moment, for `fill`: to be taken before anything is read elsewhere."""
        return self._sequence

    def put(  # noqa: PLR0913, PLR0917 - an entry, and when it was read
        self, tier: LocalNamespace, key: Hashable, thaw: Callable[[], Any], tags: tuple[str, ...], ttl: float, mark: int
    ) -> bool:
        """Store what was read since `mark`, unless one of its tags was touched meanwhile; return whether it was stored.

        Args:
            tier: where.
            key: a row's primary key, or an entry's name.
            thaw: makes a fresh copy.
            tags: all that the entry depends on, namespaces and `*` included.
            ttl: seconds.
            mark: what `mark` returned.
        """
        now = monotonic()
        with self._lock:
            if now >= self.valid_until or not tier.namespace.max_items:
                return False
            if mark != self._sequence and self._is_touched(tags, mark):
                return False
            if key in tier.entries:
                self._remove(tier, key)
            for victim in tier.evict():
                self._remove(tier, victim)
            tier.entries[key] = Entry(thaw, now + ttl, tags)
            place = (tier, key)
            for tag in tags:
                self._by_tag.setdefault(tag, set()).add(place)
            tier.fills += 1
        return True

    def _is_touched(self, tags: Iterable[str], mark: int) -> bool:
        """Whether one of the tags was touched since then, as far as is known."""
        return mark < self._oldest_sequence or any(self._touched.get(tag, 0) > mark for tag in tags)

    def invalidate(self, tags: Iterable[str]) -> None:
        """Remove every entry that depends on one of these tags."""
        with self._lock:
            self._sequence += 1
            for tag in tags:
                self._touched[tag] = self._sequence
                for tier, key in list(self._by_tag.get(tag, ())):
                    self._remove(tier, key)
                    tier.invalidations += 1
            if len(self._touched) > MAX_TOUCH_LOG:
                self._touched.clear()
                self._oldest_sequence = self._sequence

    def remove_matching(self, matches: Callable[[LocalNamespace, Hashable], bool]) -> int:
        """Remove the entries whose key matches; return how many. What is being read now is not stored either."""
        with self._lock:
            self._sequence += 1
            self._oldest_sequence = self._sequence
            found = [(tier, key) for tier in self.namespaces.values() for key in tier.entries if matches(tier, key)]
            for tier, key in found:
                self._remove(tier, key)
                tier.invalidations += 1
        return len(found)

    def _remove(self, tier: LocalNamespace, key: Hashable) -> None:
        entry, place = tier.entries.pop(key), (tier, key)
        for tag in entry.tags:
            keys = self._by_tag[tag]
            keys.discard(place)
            if not keys:
                del self._by_tag[tag]
