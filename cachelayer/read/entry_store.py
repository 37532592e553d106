"""Looks up entries in the shared store, and stores loaded values in both caches.

`cachelayer.protocol.entries` decides whether an entry of the shared store is valid. What is found in the store is put
into the local cache too.
"""

import random
import time
from collections.abc import Callable, Hashable, Iterable, Sequence
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
from cachelayer.read.instrumentation import with_hit_logging
from cachelayer.read.store_access import on_store_error, read_store
from cachelayer.runtime.runtime import CacheRuntime
from cachelayer.stores.base import States, StoreDown, StoreFull
from logs.contexts import Context

T = TypeVar("T")
LEASE_MS = 3000  # milliseconds after which the lease of a process that loads an entry expires
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


class Entries(Generic[T]):
    """The entries of one namespace that use one serializer, in the shared store and in the local cache.

    Args:
        runtime: the runtime with the store and the local cache.
        namespace: the namespace of the entries.
        serializer: converts the values.
        local_ttl: if given, the shared store holds none of these entries, and the local cache holds them for this many
            seconds.

    Attributes:
        counts: the counters of the namespace for the shared store.
    """

    def __init__(
        self, runtime: CacheRuntime, namespace: Namespace, serializer: Serializer[T], local_ttl: float | None
    ) -> None:
        self._runtime = runtime
        self._serializer = serializer
        self._ttl = namespace.ttl if local_ttl is None else local_ttl
        self._is_shared = local_ttl is None
        self._local = runtime.local.namespace(namespace)
        self.counts = runtime.counters.shared(namespace)

    # --- lookups ------------------------------------------------------------------------------------------------------
    def lookup_many(self, keys: Iterable[tuple[Hashable, EntryKey]], tags: Sequence[str]) -> list[Lookup]:
        """Look up entries in one round trip to the shared store, and put the hits into the local cache.

        Args:
            keys: the key in the local cache and the `EntryKey` of each entry.
            tags: the tags of all entries, without duplicates.
        """
        keys, runtime = list(keys), self._runtime
        sequence = runtime.local.sequence()
        names = [self._entry_name(entry_key) for _, entry_key in keys] if self._is_shared else []
        found = read_store(runtime, self.counts, lambda: runtime.store.read(names, tags))
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
            self.counts.errors += 1
            return Lookup(LookupStatus.MISS)
        if factory:
            self.counts.hits += 1
        else:
            self.counts.negatives += 1
        tags = entry_key.tags if factory else entry_key.all_tags
        instrumentation.record(LookupStatus.HIT)
        dependencies.add(tags, entry[-VERSION_SIZE * len(tags) :], expires_at)
        logged_factory = with_hit_logging(factory or _return_missing, tags[0])
        ttl, length = expires_at - time.time(), len(payload)
        self._runtime.local.put(self._local, key, logged_factory, tags, ttl, sequence, length)
        return Lookup(LookupStatus.HIT, factory)

    # --- loads --------------------------------------------------------------------------------------------------------
    def claim(self, entry_key: EntryKey) -> tuple[States, bool] | None:
        """Before a load, give a version to each tag without one; return None if the store fails.

        Returns:
            The states of all tags, and whether this process is to load the value. If not, another process loads it.
        """
        try:
            return self._runtime.store.claim_versions(entry_key.all_tags, self._lease(entry_key), LEASE_MS)
        except (StoreFull, StoreDown) as error:
            self._on_store_error(error)
            return None

    def claim_all(self, entry_keys: Iterable[EntryKey]) -> dict[str, bytes | None]:
        """Give a version to each tag without one, and return the states of all tags; {} if the store fails."""
        tags = all_tags(entry_keys)
        if not tags:
            return {}
        try:
            states, _ = self._runtime.store.claim_versions(tags, "", 0)
        except (StoreFull, StoreDown) as error:
            self._on_store_error(error)
            return {}
        return dict(zip(tags, states, strict=True))

    def release(self, entry_key: EntryKey) -> None:
        """Let other processes load a value that this process could not load."""
        self._store([], self._lease(entry_key))

    # --- fills --------------------------------------------------------------------------------------------------------
    def fill(
        self,
        items: Sequence[tuple[Hashable, EntryKey, States, T | Missing]],
        sequence: int,
        leased: EntryKey | None = None,
    ) -> None:
        """Store loaded values in the shared store and in the local cache, and release the lease.

        Args:
            items: for each loaded value its key in the local cache, its `EntryKey`, the states of its tags before the
                load, and the value.
            sequence: the sequence number of the local cache before the load.
            leased: the entry whose lease to release; None to release no lease.
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
            self.counts.fills += len(local_entries)
        elif self._store(entries, self._lease(leased) if leased else ""):
            self.counts.fills += len(entries)
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
            self.counts.errors += 1
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

    def put(self, entry_key: EntryKey, value: T, ttl: float) -> bool:
        """Store a value that no database knows in the shared store; return whether the store accepted it.

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
        self.counts.fills += 1
        return True

    def _on_store_error(self, error: Exception) -> None:
        """Count an error of the store, and tell the runtime."""
        on_store_error(self._runtime, self.counts, error)

    def _entry_name(self, entry_key: EntryKey) -> str:
        return f"{entry_key.name}@{self._serializer.fingerprint}"

    def _lease(self, entry_key: EntryKey) -> str:
        """Return the name of the lease of an entry; "" for a local entry, because only a shared one is worth a wait."""
        return entry_key.name if self._is_shared else ""


def all_tags(entry_keys: Iterable[EntryKey]) -> list[str]:
    """Return the tags of several entries, without duplicates."""
    return list(dict.fromkeys(tag for entry_key in entry_keys for tag in entry_key.all_tags))


def _return_missing() -> Missing:
    return MISSING
