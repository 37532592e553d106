"""Reads an entry that the local cache does not have: shared store, then loader, then fill.

Callers check the local cache first; that costs one dict lookup. `cachelayer.protocol.entries` decides whether an entry
is valid. The order of the steps makes sure that no stale value is stored: versions are claimed before the value is
loaded.
"""

import random
import time
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from time import monotonic, perf_counter
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar

from cachelayer.protocol.codec import DecodeError, NotCacheable
from cachelayer.protocol.entries import EntryKey, Kind, LookupStatus, pack, unpack, validate, version_prefix
from cachelayer.protocol.tags import Namespace
from cachelayer.read import instrumentation
from cachelayer.read.instrumentation import DATABASE, SHARED, log_read, with_hit_logging
from cachelayer.runtime.runtime import CacheRuntime
from cachelayer.stores.base import States, StoreDown, StoreEmptied, StoreFull
from logs.contexts import Context

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)
LEASE_MS = 3000  # milliseconds that a loader holds the lease of an entry, unless it fills the entry earlier
POLL_INTERVAL = 0.01  # seconds between two lookups while another process holds the lease
PATIENCE = 5  # such lookups; then this process loads the entry as well
MAX_WAITS = 2  # waits for loads of other threads; then this thread loads the entry as well
JITTER = 0.1  # the time to live of an entry varies by this fraction, so that entries do not expire together

log = Context.CACHE.logger


class Missing:
    """The type of MISSING."""


MISSING: Final = Missing()  # returned by a loader if the row does not exist, and by a read if the value is missing


class Serializer(Protocol[T]):
    """Converts values of one kind to payloads and back.

    Attributes:
        fingerprint: names the format of the payload; part of the name of each entry.
    """

    fingerprint: str

    def dumps(self, value: T) -> bytes:
        """Return the payload of a value."""

    def loader(self, payload: bytes) -> Callable[[], T]:
        """Return a function that returns a fresh copy of the value at each call."""


class Lookup(NamedTuple):
    """The result of a lookup in the shared store.

    Attributes:
        status: the outcome.
        factory: returns a fresh copy of the value; None unless the lookup was a hit of a value.
    """

    status: LookupStatus
    factory: Callable[[], Any] | None = None


class Reader(Generic[T]):
    """Reads the entries of one namespace that have one serializer."""

    def __init__(self, runtime: CacheRuntime, namespace: Namespace, serializer: Serializer[T]) -> None:
        self._runtime = runtime
        self._serializer = serializer
        self._name = namespace.name
        self._ttl = namespace.ttl
        self._local = runtime.local.namespace(namespace)
        self._counts = runtime.counters.shared(namespace)

    # --- one entry ----------------------------------------------------------------------------------------------------
    def read(
        self, key: Hashable, entry_key: EntryKey, load: Callable[[], T | Missing], may_fill: Callable[[], bool]
    ) -> T | Missing:
        """Return a value, or MISSING.

        Args:
            key: its key in the local cache.
            entry_key: its key in the shared store, and its tags.
            load: loads it from the database.
            may_fill: returns whether the loaded value may be cached. Inside a transaction it may not, because the
                transaction may read old or uncommitted data.

        Raises:
            Exception: whatever `load` raises.
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
        """Return a value that was stored with `set`, or MISSING."""
        self._counts.local_misses += 1
        status, value = self._lookup(key, entry_key)
        if status is LookupStatus.HIT:
            return value
        self._counts.misses += 1
        return MISSING

    def set(self, entry_key: EntryKey, value: T, ttl: float) -> bool:
        """Store a value for `ttl` seconds in place of the old one; return whether the store accepted it.

        Raises:
            NotCacheable: the value has no encoding.
        """
        payload, head = self._serializer.dumps(value), pack(Kind.PRESENT, int(time.time() + ttl), b"", b"")
        try:
            self._runtime.ensure_started()
            if self._runtime.bypasses_cache:
                return False
            self._runtime.store.put(self._entry_name(entry_key), head, payload, entry_key.tags, int(ttl * 1000))
        except (StoreFull, StoreDown) as error:
            self._on_store_error(error)
            return False
        self._counts.fills += 1
        return True

    def _load_once(
        self, key: Hashable, entry_key: EntryKey, load: Callable[[], T | Missing], looked_up_at: float
    ) -> T | Missing:
        """Load the entry, unless another thread of this process loads it: then wait for it and look it up again."""
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
        """Claim versions for all tags, and only then load; wait a moment if another process has the lease."""
        runtime, sequence = self._runtime, self._runtime.local.sequence()
        try:
            states, has_lease = runtime.store.claim_versions(entry_key.all_tags, entry_key.name, LEASE_MS)
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
            value = load()
        except BaseException:
            self._store([], entry_key.name)  # releases the lease, so that other processes do not wait
            raise
        log_read(LookupStatus.MISS, entry_key.tags[0], DATABASE, started)
        self._fill([(key, entry_key, states, value)], sequence, lease=entry_key.name)
        return value

    def _bypass(self, entry_key: EntryKey, load: Callable[[], T | Missing]) -> T | Missing:
        """Load the value without storing it."""
        instrumentation.record(LookupStatus.BYPASS)
        self._counts.bypasses += 1
        started = perf_counter()
        value = load()
        log_read(LookupStatus.BYPASS, entry_key.tags[0], DATABASE, started)
        return value

    def _lookup(self, key: Hashable, entry_key: EntryKey) -> tuple[LookupStatus, T | Missing]:
        """Look up one entry in the shared store."""
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
        """Return the values that exist, by key. All entries are looked up in one round trip.

        Args:
            entry_keys: keys in the shared store and tags, by key in the local cache.
            load: loads the values of these keys from the database; it leaves out those that do not exist.
            may_fill: see `read`.

        Raises:
            Exception: whatever `load` raises.
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
        """Return the states of all tags after each has got a version or an intent; empty if the store fails."""
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
        """Look up entries in one round trip, and put the hits into the local cache.

        Args:
            keys: key in the local cache and `EntryKey` of each entry.
            tags: the tags of all of them.
        """
        keys, runtime = list(keys), self._runtime
        runtime.ensure_started()
        if not runtime.breaker.is_closed:
            return [Lookup(LookupStatus.BYPASS)] * len(keys)
        sequence = runtime.local.sequence()
        try:
            entries, states = runtime.store.read([self._entry_name(entry_key) for _, entry_key in keys], tags)
        except StoreEmptied:
            self._reinitialize_store()
            return [Lookup(LookupStatus.BYPASS)] * len(keys)
        except (StoreDown, StoreFull) as error:
            self._on_store_error(error)
            return [Lookup(LookupStatus.BYPASS)] * len(keys)
        runtime.breaker.record_success()
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
        """Decode a valid entry and put it into the local cache; an entry that cannot be decoded is a miss."""
        try:
            kind, expires_at, payload = unpack(entry_key, entry)
            factory = self._serializer.loader(payload) if kind is Kind.PRESENT else None
        except DecodeError:
            log.exception("Cache entry of %s cannot be read", entry_key.tags[0])
            self._counts.errors += 1
            return Lookup(LookupStatus.MISS)
        if factory:
            self._counts.hits += 1
        else:
            self._counts.absences += 1
        tags = entry_key.tags if factory else entry_key.all_tags
        instrumentation.record(LookupStatus.HIT)
        logged_factory = with_hit_logging(factory or _return_missing, tags[0])
        self._runtime.local.put(self._local, key, logged_factory, tags, expires_at - time.time(), sequence)
        return Lookup(LookupStatus.HIT, factory)

    def _fill(
        self, items: Sequence[tuple[Hashable, EntryKey, States, T | Missing]], sequence: int, lease: str = ""
    ) -> None:
        """Store loaded values in both tiers, and release the lease.

        Args:
            items: key in the local cache, `EntryKey`, the states of all its tags before the load, and the loaded value.
            sequence: the sequence number of the local cache before the load.
            lease: the name of the lease to release, or "".
        """
        entries, local_entries = [], []
        ttl = self._ttl * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - not used for security
        for key, entry_key, states, value in items:
            kind = Kind.NEGATIVE if isinstance(value, Missing) else Kind.PRESENT
            versions = version_prefix(entry_key, states, kind)
            serialized = self._serialize(entry_key, value)
            if versions is None or serialized is None:
                continue
            payload, factory = serialized
            tags = entry_key.all_tags if kind is Kind.NEGATIVE else entry_key.tags
            entry = pack(kind, int(time.time() + ttl), versions, payload)
            entries.append((self._entry_name(entry_key), entry, int(ttl * 1000)))
            local_entries.append((key, factory, tags))
        if (entries or lease) and self._store(entries, lease):
            self._counts.fills += len(entries)
        for key, factory, tags in local_entries:
            self._runtime.local.put(self._local, key, with_hit_logging(factory, tags[0]), tags, ttl, sequence)

    def _serialize(self, entry_key: EntryKey, value: T | Missing) -> tuple[bytes, Callable[[], T | Missing]] | None:
        """Return the payload of a value and a function that returns copies of it; None if it cannot be cached."""
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
        """Store entries and release the lease; return whether the store accepted them."""
        try:
            self._runtime.store.fill(entries, lease)
        except (StoreFull, StoreDown) as error:
            self._on_store_error(error)
            return False
        return True

    def _entry_name(self, entry_key: EntryKey) -> str:
        return f"{entry_key.name}@{self._serializer.fingerprint}"

    def _reinitialize_store(self) -> None:
        try:
            if self._runtime.store.reinitialize(quarantine=False):
                self._runtime.on_store_replaced()
        except (StoreDown, StoreFull) as error:
            self._on_store_error(error)

    def _on_store_error(self, error: Exception) -> None:
        self._counts.errors += 1
        self._runtime.on_read_error(error)


def _all_tags(entry_keys: Iterable[EntryKey]) -> list[str]:
    return list(dict.fromkeys(tag for entry_key in entry_keys for tag in entry_key.all_tags))


def _return_missing() -> Missing:
    return MISSING
