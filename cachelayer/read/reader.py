"""Reads an entry that the local cache does not have: from the shared store, or else from the database.

Callers look in the local cache before they call a reader. `cachelayer.protocol.entries` decides whether an entry of the
shared store is valid. A reader stores a value that it loads from the database in both caches. So that no stale value is
stored, the reader gets the versions of the tags before it loads the value.
"""

import random
import time
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from time import monotonic, perf_counter
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar

from cachelayer.protocol.codec import DecodeError, NotCacheable
from cachelayer.protocol.entries import (
    VERSION_SIZE,
    EntryKey,
    Kind,
    LookupStatus,
    join_versions,
    pack,
    unpack,
    validate,
)
from cachelayer.protocol.tags import Namespace
from cachelayer.read import dependencies, instrumentation
from cachelayer.read.instrumentation import DATABASE, SHARED, log_read, with_hit_logging
from cachelayer.read.store_access import on_store_error, read_store
from cachelayer.runtime.runtime import CacheRuntime
from cachelayer.stores.base import States, StoreDown, StoreFull
from logs.contexts import Context

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)
LEASE_MS = 3000  # milliseconds after which the lease of a process that loads an entry expires
POLL_INTERVAL = 0.01  # seconds between two lookups of an entry that another process loads
PATIENCE = 5  # number of lookups after which this process also loads an entry that another process loads
MAX_WAITS = 2  # how often a thread waits for the loads of other threads before it loads the entry itself
JITTER = 0.1  # each time to live varies at random by this fraction, so that entries do not expire together

log = Context.CACHE.logger


class Missing:
    """The type of the constant `MISSING`, which stands for a value that does not exist."""


MISSING: Final = Missing()  # returned by loaders and readers if the value does not exist


class Serializer(Protocol[T]):
    """Converts values of one kind to payloads and back.

    Attributes:
        fingerprint: names the format of the payloads. The name of each entry in the store ends with the fingerprint.
    """

    fingerprint: str

    def dumps(self, value: T) -> bytes:
        """Return a value as a payload."""

    def loader(self, payload: bytes) -> Callable[[], T]:
        """Return a function that returns a new copy of the value in the payload at each call."""


class Lookup(NamedTuple):
    """What a lookup of one entry in the shared store has found.

    Attributes:
        status: whether the lookup was a hit, a miss or a bypass.
        factory: a function that returns a new copy of the value; None if the lookup found no value.
    """

    status: LookupStatus
    factory: Callable[[], Any] | None = None


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
        self._serializer = serializer
        self._name = namespace.name
        self._ttl = namespace.ttl if local_ttl is None else local_ttl
        self._is_shared = local_ttl is None
        self._local = runtime.local.namespace(namespace)
        self._counts = runtime.counters.shared(namespace)

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
        body = pack(entry_key, Kind.PRESENT, int(time.time() + ttl), self._serializer.dumps(value))
        try:
            self._runtime.ensure_started()
            if self._runtime.bypasses_cache:
                return False
            self._runtime.store.put(self._entry_name(entry_key), body, entry_key.tags, int(ttl * 1000))
        except (StoreFull, StoreDown) as error:
            self._on_store_error(error)
            return False
        self._counts.fills += 1
        return True

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
        lease = entry_key.name if self._is_shared else ""  # only a shared entry is worth waiting for
        try:
            states, has_lease = runtime.store.claim_versions(entry_key.all_tags, lease, LEASE_MS)
        except (StoreFull, StoreDown) as error:
            self._on_store_error(error)
            return self._bypass(entry_key, load)
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
            self._store([], lease)  # releases the lease, so that other processes do not wait for this load
            raise
        log_read(LookupStatus.MISS, entry_key.tags[0], DATABASE, started)
        self._fill([(key, entry_key, states, value)], sequence, lease)
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
        (found,) = self._lookup_many([(key, entry_key)], entry_key.all_tags)
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
        tags = _all_tags(entry_keys.values())
        lookups = dict(zip(entry_keys, self._lookup_many(entry_keys.items(), tags), strict=True))
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
        states = self._claim_versions([entry_keys[key] for key in missed])
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
            self._fill(items, sequence)
        return values

    def _claim_versions(self, entry_keys: Iterable[EntryKey]) -> dict[str, bytes | None]:
        """Give a version to each tag without one, and return the states of all tags; return {} if the store fails."""
        tags = _all_tags(entry_keys)
        if not tags:
            return {}
        try:
            states, _ = self._runtime.store.claim_versions(tags, "", 0)
        except (StoreFull, StoreDown) as error:
            self._on_store_error(error)
            return {}
        return dict(zip(tags, states, strict=True))

    # --- the shared store ---------------------------------------------------------------------------------------------
    def _lookup_many(self, keys: Iterable[tuple[Hashable, EntryKey]], tags: Sequence[str]) -> list[Lookup]:
        """Look up entries in one round trip to the shared store, and put the hits into the local cache.

        Args:
            keys: the key in the local cache and the `EntryKey` of each entry.
            tags: the tags of all entries, without duplicates.
        """
        keys, runtime = list(keys), self._runtime
        sequence = runtime.local.sequence()
        names = [self._entry_name(entry_key) for _, entry_key in keys] if self._is_shared else []
        found = read_store(runtime, self._counts, lambda: runtime.store.read(names, tags))
        if found is None:
            return [Lookup(LookupStatus.BYPASS)] * len(keys)
        entries, states = found
        if not self._is_shared:
            entries = [None] * len(keys)
        if len(keys) == 1:
            return [self._validate(*keys[0], entries[0], states, sequence)]
        by_tag = dict(zip(tags, states, strict=True))
        return [
            self._validate(key, entry_key, entry, [by_tag[tag] for tag in entry_key.all_tags], sequence)
            for (key, entry_key), entry in zip(keys, entries, strict=True)
        ]

    def _validate(
        self, key: Hashable, entry_key: EntryKey, entry: bytes | None, states: States, sequence: int
    ) -> Lookup:
        status = validate(entry_key, entry, states)
        if status is LookupStatus.HIT and entry is not None:
            return self._unpack(key, entry_key, entry, sequence)
        return Lookup(status)

    def _unpack(self, key: Hashable, entry_key: EntryKey, entry: bytes, sequence: int) -> Lookup:
        """Decode a valid entry and put it into the local cache; report an entry that cannot be decoded as a miss."""
        try:
            kind, expires_at, payload = unpack(entry)
            factory = self._serializer.loader(payload) if kind is Kind.PRESENT else None
        except DecodeError:
            log.exception("Cache entry of %s cannot be read", entry_key.tags[0])
            self._counts.errors += 1
            return Lookup(LookupStatus.MISS)
        if factory:
            self._counts.hits += 1
        else:
            self._counts.negatives += 1
        tags = entry_key.tags if factory else entry_key.all_tags
        instrumentation.record(LookupStatus.HIT)
        dependencies.add(tags, entry[-VERSION_SIZE * len(tags) :], expires_at)
        logged_factory = with_hit_logging(factory or _return_missing, tags[0])
        ttl, length = expires_at - time.time(), len(payload)
        self._runtime.local.put(self._local, key, logged_factory, tags, ttl, sequence, length)
        return Lookup(LookupStatus.HIT, factory)

    def _fill(
        self, items: Sequence[tuple[Hashable, EntryKey, States, T | Missing]], sequence: int, lease: str = ""
    ) -> None:
        """Store loaded values in the shared store and in the local cache, and release the lease.

        Args:
            items: for each loaded value its key in the local cache, its `EntryKey`, the states of its tags before the
                load, and the value.
            sequence: the sequence number of the local cache before the load.
            lease: the name of the lease to release, or "" to release no lease.
        """
        entries, local_entries = [], []
        ttl = self._ttl * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - not used for security
        for key, entry_key, states, value in items:
            kind = Kind.NEGATIVE if isinstance(value, Missing) else Kind.PRESENT
            versions = join_versions(entry_key, states, kind)
            serialized = self._serialize(entry_key, value)
            if versions is None or serialized is None:
                dependencies.give_up()
                continue
            payload, factory = serialized
            tags = entry_key.all_tags if kind is Kind.NEGATIVE else entry_key.tags
            dependencies.add(tags, versions, time.time() + ttl)
            entry = pack(entry_key, kind, int(time.time() + ttl), payload) + versions
            entries.append((self._entry_name(entry_key), entry, int(ttl * 1000)))
            local_entries.append((key, factory, tags, len(payload)))
        if not self._is_shared:
            self._counts.fills += len(local_entries)
        elif self._store(entries, lease):
            self._counts.fills += len(entries)
        for key, factory, tags, length in local_entries:
            logged_factory = with_hit_logging(factory, tags[0])
            self._runtime.local.put(self._local, key, logged_factory, tags, ttl, sequence, length)

    def _serialize(self, entry_key: EntryKey, value: T | Missing) -> tuple[bytes, Callable[[], T | Missing]] | None:
        """Return the payload of a value and a function that returns copies; None if the value cannot be encoded."""
        if isinstance(value, Missing):
            return b"", _return_missing
        try:
            payload = self._serializer.dumps(value)
            return payload, self._serializer.loader(payload)
        except (NotCacheable, DecodeError) as error:
            self._counts.errors += 1
            log.warning("Cache entry of %s cannot be stored: %s", entry_key.tags[0], error)
            return None

    def _store(self, entries: Sequence[tuple[str, bytes, int]], lease: str) -> bool:
        """Store entries in the shared store and release the lease; return whether the store accepted the entries."""
        if not entries and not lease:
            return True
        try:
            self._runtime.store.fill(entries, lease)
        except (StoreFull, StoreDown) as error:
            self._on_store_error(error)
            return False
        return True

    def _entry_name(self, entry_key: EntryKey) -> str:
        return f"{entry_key.name}@{self._serializer.fingerprint}"

    def _on_store_error(self, error: Exception) -> None:
        on_store_error(self._runtime, self._counts, error)


def _all_tags(entry_keys: Iterable[EntryKey]) -> list[str]:
    return list(dict.fromkeys(tag for entry_key in entry_keys for tag in entry_key.all_tags))


def _return_missing() -> Missing:
    return MISSING
