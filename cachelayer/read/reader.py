"""Reads an entry that the local cache does not have: from the shared store, or else from the database.

Callers look in the local cache before they call a reader. A reader stores a value that it loads from the database in
both caches. So that no stale value is stored, the reader gets the versions of the tags before it loads the value.
"""

import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from time import monotonic, perf_counter
from typing import Generic, TypeVar

from cachelayer.protocol.entries import EntryKey, LookupStatus
from cachelayer.protocol.tags import Namespace
from cachelayer.read import dependencies, instrumentation
from cachelayer.read.entry_store import MISSING, Entries, Missing, Serializer, all_tags
from cachelayer.read.instrumentation import DATABASE, SHARED, log_read
from cachelayer.runtime.runtime import CacheRuntime

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)
POLL_INTERVAL = 0.01  # seconds between two lookups of an entry that another process loads
PATIENCE = 5  # number of lookups after which this process also loads an entry that another process loads
MAX_WAITS = 2  # how often a thread waits for the loads of other threads before it loads the entry itself


class Reader(Generic[T]):
    """Reads and stores the entries of one namespace that use one serializer.

    Args:
        runtime: the runtime with the store and the local cache.
        namespace: the namespace of the entries.
        serializer: converts the values.
        local_ttl: if given, the shared store holds no entries of this reader, and the local cache holds them for this
            many seconds.
    """

    def __init__(
        self, runtime: CacheRuntime, namespace: Namespace, serializer: Serializer[T], local_ttl: float | None = None
    ) -> None:
        self._runtime = runtime
        self._name = namespace.name
        self._entries = Entries(runtime, namespace, serializer, local_ttl)
        self._counts = self._entries.counts

    # --- one entry ----------------------------------------------------------------------------------------------------
    def read(
        self, key: Hashable, entry_key: EntryKey, load: Callable[[], T | Missing], may_fill: Callable[[], bool]
    ) -> T | Missing:
        """Return a value from the shared store or from the database, or `MISSING` if the value does not exist.

        Args:
            key: the key of the value in the local cache.
            entry_key: the key of the value in the shared store, and the tags that the value depends on.
            load: loads the value from the database.
            may_fill: returns whether the value that `load` returns may be cached. A value that was read in a
                database transaction must not be cached, because a transaction may read old or uncommitted data.

        Raises:
            Exception: any exception that `load` raises.
        """
        self._counts.local_misses += 1
        looked_up_at = monotonic()
        status, value = self._lookup(key, entry_key)
        if status is LookupStatus.HIT:
            return value
        if may_fill() and status is LookupStatus.MISS:
            return self._load_once(key, entry_key, load, looked_up_at)
        return self._bypass(entry_key, load)

    def get(self, key: Hashable, entry_key: EntryKey) -> T | Missing:
        """Return a value that `set` has stored in the shared store, or `MISSING`."""
        self._counts.local_misses += 1
        status, value = self._lookup(key, entry_key)
        if status is LookupStatus.HIT:
            return value
        self._counts.misses += 1
        dependencies.give_up()
        return MISSING

    def set(self, entry_key: EntryKey, value: T, ttl: float) -> bool:
        """Store a value for `ttl` seconds in place of the old value; return whether the store accepted the new value.

        Raises:
            NotCacheable: the serializer cannot encode the value.
        """
        return self._entries.put(entry_key, value, ttl)

    def _load_once(
        self, key: Hashable, entry_key: EntryKey, load: Callable[[], T | Missing], looked_up_at: float
    ) -> T | Missing:
        """Load the value, or wait for another thread that loads the value and look in the shared store again."""
        single_flight = self._runtime.single_flight
        for _ in range(MAX_WAITS):
            if single_flight.acquire(entry_key.name, looked_up_at):
                try:
                    return self._load_and_fill(key, entry_key, load)
                finally:
                    single_flight.release(entry_key.name)
            looked_up_at = monotonic()
            status, value = self._lookup(key, entry_key)
            if status is not LookupStatus.MISS:
                return value if status is LookupStatus.HIT else self._bypass(entry_key, load)
        return self._load_and_fill(key, entry_key, load)

    def _load_and_fill(self, key: Hashable, entry_key: EntryKey, load: Callable[[], T | Missing]) -> T | Missing:
        """Give versions to tags without one, and then load and store the value, unless another process stores it."""
        runtime, sequence = self._runtime, self._runtime.local.sequence()
        claimed = self._entries.claim(entry_key)
        if claimed is None:
            return self._bypass(entry_key, load)
        states, has_lease = claimed
        for _ in range(0 if has_lease else PATIENCE):
            time.sleep(POLL_INTERVAL)
            status, value = self._lookup(key, entry_key)
            if status is LookupStatus.HIT:
                return value
        instrumentation.record(LookupStatus.MISS)
        self._counts.misses += 1
        started = perf_counter()
        try:
            with runtime.local.loading(), dependencies.loading():
                value = load()
        except BaseException:
            self._entries.release(entry_key)
            raise
        log_read(LookupStatus.MISS, entry_key.tags[0], DATABASE, started)
        self._entries.fill([(key, entry_key, states, value)], sequence, entry_key)
        return value

    def _bypass(self, entry_key: EntryKey, load: Callable[[], T | Missing]) -> T | Missing:
        """Load the value from the database without storing it in the cache."""
        instrumentation.record(LookupStatus.BYPASS)
        dependencies.give_up()
        self._counts.bypasses += 1
        started = perf_counter()
        with self._runtime.local.loading():
            value = load()
        log_read(LookupStatus.BYPASS, entry_key.tags[0], DATABASE, started)
        return value

    def _lookup(self, key: Hashable, entry_key: EntryKey) -> tuple[LookupStatus, T | Missing]:
        """Look up one entry in the shared store; return the result and the value, or `MISSING`."""
        started = perf_counter()
        (found,) = self._entries.lookup_many([(key, entry_key)], entry_key.all_tags)
        if found.status is not LookupStatus.HIT:
            return found.status, MISSING
        value = found.factory() if found.factory else MISSING
        log_read(LookupStatus.HIT, entry_key.tags[0], SHARED, started)
        return LookupStatus.HIT, value

    # --- many entries -------------------------------------------------------------------------------------------------
    def read_many(
        self,
        entry_keys: Mapping[K, EntryKey],
        load: Callable[[Sequence[K]], Mapping[K, T]],
        may_fill: Callable[[], bool],
    ) -> dict[K, T]:
        """Return several values from the shared store or the database, by their key in the local cache.

        The result leaves out values that do not exist. All entries are looked up in one round trip to the store.

        Args:
            entry_keys: the keys in the shared store and the tags of the values, by their key in the local cache.
            load: loads the values of some keys from the database, and leaves out values that do not exist.
            may_fill: returns whether the values that `load` returns may be cached (see `read`).

        Raises:
            Exception: any exception that `load` raises.
        """
        counts = self._counts
        counts.local_misses += len(entry_keys)
        started = perf_counter()
        sequence = self._runtime.local.sequence()
        tags = all_tags(entry_keys.values())
        lookups = dict(zip(entry_keys, self._entries.lookup_many(entry_keys.items(), tags), strict=True))
        values = {
            key: found.factory()
            for key, found in lookups.items()
            if found.status is LookupStatus.HIT and found.factory is not None
        }
        rest = [key for key, found in lookups.items() if found.status is not LookupStatus.HIT]
        log_read(LookupStatus.HIT, self._name, SHARED, started, len(entry_keys) - len(rest))
        if not rest:
            return values
        missed = [key for key in rest if lookups[key].status is LookupStatus.MISS] if may_fill() else []
        states = self._entries.claim_all([entry_keys[key] for key in missed])
        counts.misses += len(missed)
        counts.bypasses += len(rest) - len(missed)
        instrumentation.record(LookupStatus.BYPASS if len(rest) > len(missed) else LookupStatus.MISS)
        started = perf_counter()
        if not states or len(rest) > len(missed):
            dependencies.give_up()
        with dependencies.loading():
            loaded = load(rest)
        log_read(LookupStatus.MISS, self._name, DATABASE, started, len(missed))
        log_read(LookupStatus.BYPASS, self._name, DATABASE, started, len(rest) - len(missed))
        values.update(loaded)
        if states:
            items = [
                (key, entry_keys[key], [states.get(tag) for tag in entry_keys[key].all_tags], loaded.get(key, MISSING))
                for key in missed
            ]
            self._entries.fill(items, sequence)
        return values
