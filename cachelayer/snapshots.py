"""Values that decide about access: kept in the memory of this process, and used only if the store confirms them.

A snapshot is never read from the shared store. Its owner loads it from the database and remembers the versions that the
tags of the value had before. The store confirms a snapshot if all these tags still have these versions, so a write to
the rows of the value takes effect with the next request, in all processes.
"""

import threading
from collections.abc import Callable, Hashable, Sequence
from time import monotonic
from typing import Generic, NamedTuple, TypeVar

from django.db import DEFAULT_DB_ALIAS

from cachelayer.orm.managers import TRUSTED_TTL
from cachelayer.protocol.entries import is_version
from cachelayer.protocol.tags import Namespace
from cachelayer.read.store_access import read_store
from cachelayer.runtime.metrics import SharedCounts
from cachelayer.runtime.runtime import runtime
from cachelayer.write import transactions
from logs.fork import after_fork

T = TypeVar("T")
MAX_ITEMS = 10_000


class Snapshot(NamedTuple, Generic[T]):
    """A value, and the versions of its tags before it was loaded.

    Attributes:
        value: the value; callers must not change it.
        tags: all tags that the value depends on.
        versions: the versions of the tags.
        expires: when the snapshot expires, on the monotonic clock.
    """

    value: T
    tags: tuple[str, ...]
    versions: list[bytes]
    expires: float


class Snapshots(Generic[T]):
    """The snapshots of one kind of value, by a key.

    Args:
        namespace: the namespace whose counters count the snapshots.
        max_items: how many snapshots are kept; the oldest are dropped.
    """

    def __init__(self, namespace: Namespace, max_items: int = MAX_ITEMS) -> None:
        self._namespace = namespace
        self._max_items = max_items
        self._items: dict[Hashable, Snapshot[T]] = {}
        self._lock = threading.Lock()
        after_fork(self.reset)

    def find(self, key: Hashable) -> Snapshot[T] | None:
        """Return the snapshot with a key, which the caller must confirm before it uses the value."""
        snapshot = self._items.get(key)
        return snapshot if snapshot is not None and monotonic() < snapshot.expires else None

    def fetch(self, key: Hashable) -> T | None:
        """Return the value of a snapshot, after the store has confirmed it in one round trip; None if it has not."""
        snapshot = self.find(key)
        if snapshot is None:
            return None
        tags = snapshot.tags
        found = read_store(runtime, self._counts, lambda: runtime.store.read([], tags))
        return snapshot.value if found is not None and self.is_confirmed(snapshot, found[1]) else None

    def is_confirmed(self, snapshot: Snapshot[T], states: Sequence[bytes | None]) -> bool:
        """Tell whether a value may be used, given the states of its tags that were read just now; count a hit."""
        is_confirmed = states == snapshot.versions
        self._counts.hits += is_confirmed
        return is_confirmed

    def load(self, key: Hashable, tags: Sequence[str], load: Callable[[], T | None]) -> T | None:
        """Load a value from the database, and keep it unless it is None or a write to one of its tags is in flight.

        Args:
            key: the key of the value.
            tags: the tags that the value depends on.
            load: reads the value from the database.
        """
        expanded = runtime.namespaces.expand(tags)
        claimed = read_store(runtime, self._counts, lambda: runtime.store.claim_versions(expanded, "", 0))
        self._counts.misses += 1
        value = load()
        if value is not None and claimed is not None and transactions.reads_committed_data(DEFAULT_DB_ALIAS):
            versions = [state for state in claimed[0] if state is not None and is_version(state)]
            if len(versions) == len(expanded):
                self._keep(key, Snapshot(value, expanded, versions, monotonic() + TRUSTED_TTL))
        return value

    def _keep(self, key: Hashable, snapshot: Snapshot[T]) -> None:
        with self._lock:
            self._items.pop(key, None)
            self._items[key] = snapshot
            while len(self._items) > self._max_items:
                del self._items[next(iter(self._items))]
        self._counts.fills += 1

    def reset(self) -> None:
        """Forget all snapshots, and replace the lock, which a thread of the parent of a fork may hold."""
        self._lock = threading.Lock()
        self._items = {}

    @property
    def _counts(self) -> SharedCounts:
        return runtime.counters.shared(self._namespace)
