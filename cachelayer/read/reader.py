"""One read: the shared tier, the loader, the fill. The steps and their order are DESIGN's; `entries` decides.

The local tier comes before all this, in the caller, who has nothing to pay there but a look into a dict.
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
LEASE_MS = 3000  # for a loader in another process
POLL = 0.01  # seconds
PATIENCE = 5  # polls; then the database is asked here as well
WAITS = 2  # for loads of other threads
JITTER = 0.1  # of the time to live, either way

log = Context.CACHE.logger


class Missing:
    """What a loader returns for what does not exist."""


MISSING: Final = Missing()


class Serializer(Protocol[T]):
    """How values of one kind are written and made anew."""

    fingerprint: str

    def dumps(self, value: T) -> bytes:
        """Return the payload."""

    def loader(self, payload: bytes) -> Callable[[], T]:
        """Return what makes a fresh copy at each call."""


class Lookup(NamedTuple):
    """One entry from the shared tier, in three states: a hit with its copies, an absence, or neither."""

    verdict: LookupStatus
    thaw: Callable[[], Any] | None = None


class Reader(Generic[T]):
    """Reads entries of one shape in one namespace."""

    def __init__(self, runtime: CacheRuntime, namespace: Namespace, shape: Serializer[T]) -> None:
        self._runtime = runtime
        self._shape = shape
        self._name = namespace.name
        self._ttl = namespace.ttl
        self._tier = runtime.local.namespace(namespace)
        self._counts = runtime.counters.shared(namespace)

    # --- one entry ----------------------------------------------------------------------------------------------------
    def read(
        self, key: Hashable, wanted: EntryKey, load: Callable[[], T | Missing], may_fill: Callable[[], bool]
    ) -> T | Missing:
        """Return a value, or ABSENT.

        Args:
            key: under which the local tier has it.
            wanted: its name and tags.
            load: reads the database.
            may_fill: tells whether what `load` returns may be kept: not what a transaction sees, which may be old.

        Raises:
            Exception: whatever `load` raises.
        """
        self._counts.local_misses += 1
        since = monotonic()
        found, value = self._lookup(key, wanted)
        if found is LookupStatus.HIT:
            return value
        if may_fill() and found is LookupStatus.MISS:
            return self._load_once(key, wanted, load, since)
        return self._bypass(wanted, load)

    def get(self, key: Hashable, wanted: EntryKey) -> T | Missing:
        """Return a value that someone has put there, or ABSENT."""
        self._counts.local_misses += 1
        found, value = self._lookup(key, wanted)
        if found is LookupStatus.HIT:
            return value
        self._counts.misses += 1
        return MISSING

    def set(self, wanted: EntryKey, value: T, ttl: float) -> bool:
        """Store a value in the place of what was there; return whether the store has taken it.

        Raises:
            NotCacheable: it has no encoding.
        """
        payload, head = self._shape.dumps(value), pack(Kind.PRESENT, int(time.time() + ttl), b"", b"")
        try:
            self._runtime.ensure_started()
            if self._runtime.bypasses_cache:
                return False
            self._runtime.store.put(self._entry(wanted), head, payload, wanted.tags, int(ttl * 1000))
        except (StoreFull, StoreDown) as error:
            self._failed(error)
            return False
        self._counts.fills += 1
        return True

    def _load_once(self, key: Hashable, wanted: EntryKey, load: Callable[[], T | Missing], since: float) -> T | Missing:
        """Load as the only one of this process; or wait for who does, and look again."""
        flights = self._runtime.single_flight
        for _ in range(WAITS):
            if flights.acquire(wanted.name, since):
                try:
                    return self._load_and_fill(key, wanted, load)
                finally:
                    flights.release(wanted.name)
            since = monotonic()
            found, value = self._lookup(key, wanted)
            if found is not LookupStatus.MISS:
                return value if found is LookupStatus.HIT else self._bypass(wanted, load)
        return self._load_and_fill(key, wanted, load)

    def _load_and_fill(self, key: Hashable, wanted: EntryKey, load: Callable[[], T | Missing]) -> T | Missing:
        """Make sure that all tags have versions, and only then load."""
        runtime, mark = self._runtime, self._runtime.local.sequence()
        try:
            states, is_ours = runtime.store.claim_versions(wanted.all_tags, wanted.name, LEASE_MS)
        except (StoreFull, StoreDown) as error:
            self._failed(error)
            return self._bypass(wanted, load)
        for _ in range(0 if is_ours else PATIENCE):
            time.sleep(POLL)
            found, value = self._lookup(key, wanted)
            if found is LookupStatus.HIT:
                return value
        instrumentation.record(LookupStatus.MISS)
        self._counts.misses += 1
        began = perf_counter()
        try:
            value = load()
        except BaseException:
            self._store([], wanted.name)  # others need not wait for us
            raise
        log_read(LookupStatus.MISS, wanted.tags[0], DATABASE, began)
        self._fill([(key, wanted, states, value)], mark, lease=wanted.name)
        return value

    def _bypass(self, wanted: EntryKey, load: Callable[[], T | Missing]) -> T | Missing:
        instrumentation.record(LookupStatus.BYPASS)
        self._counts.bypasses += 1
        began = perf_counter()
        value = load()
        log_read(LookupStatus.BYPASS, wanted.tags[0], DATABASE, began)
        return value

    def _lookup(self, key: Hashable, wanted: EntryKey) -> tuple[LookupStatus, T | Missing]:
        """Ask the shared tier for one entry."""
        began = perf_counter()
        (found,) = self._lookup_many([(key, wanted)], wanted.all_tags)
        if found.verdict is not LookupStatus.HIT:
            return found.verdict, MISSING
        value = found.thaw() if found.thaw else MISSING
        log_read(LookupStatus.HIT, wanted.tags[0], SHARED, began)
        return LookupStatus.HIT, value

    # --- many entries -------------------------------------------------------------------------------------------------
    def read_many(
        self,
        wanted: Mapping[K, EntryKey],
        load: Callable[[Sequence[K]], Mapping[K, T]],
        may_fill: Callable[[], bool],
    ) -> dict[K, T]:
        """Return the values that exist, by key: one round trip for all that are hits.

        Args:
            wanted: names and tags, by the key that the local tier has each under.
            load: reads these keys from the database and returns what exists.
            may_fill: see `read`.

        Raises:
            Exception: whatever `load` raises.
        """
        counts = self._counts
        counts.local_misses += len(wanted)
        began = perf_counter()
        mark = self._runtime.local.sequence()
        tags = list(dict.fromkeys(tag for one in wanted.values() for tag in one.all_tags))
        answers = dict(zip(wanted, self._lookup_many(wanted.items(), tags), strict=True))
        values = {key: one.thaw() for key, one in answers.items() if one.verdict is LookupStatus.HIT and one.thaw}
        rest = [key for key, one in answers.items() if one.verdict is not LookupStatus.HIT]
        log_read(LookupStatus.HIT, self._name, SHARED, began, len(wanted) - len(rest))
        if not rest:
            return values
        missed = [key for key in rest if answers[key].verdict is LookupStatus.MISS] if may_fill() else []
        states = self._claimed([wanted[key] for key in missed])
        counts.misses += len(missed)
        counts.bypasses += len(rest) - len(missed)
        instrumentation.record(LookupStatus.BYPASS if len(rest) > len(missed) else LookupStatus.MISS)
        began = perf_counter()
        loaded = load(rest)
        log_read(LookupStatus.MISS, self._name, DATABASE, began, len(missed))
        log_read(LookupStatus.BYPASS, self._name, DATABASE, began, len(rest) - len(missed))
        values.update(loaded)
        if states:
            found = [
                (key, wanted[key], [states.get(tag) for tag in wanted[key].all_tags], loaded.get(key, MISSING))
                for key in missed
            ]
            self._fill(found, mark)
        return values

    def _claimed(self, wanted: Sequence[EntryKey]) -> dict[str, bytes | None]:
        tags = list(dict.fromkeys(tag for one in wanted for tag in one.all_tags))
        if not tags:
            return {}
        try:
            states, _ = self._runtime.store.claim_versions(tags, "", 0)
        except (StoreFull, StoreDown) as error:
            self._failed(error)
            return {}
        return dict(zip(tags, states, strict=True))

    # --- the shared tier ----------------------------------------------------------------------------------------------
    def _lookup_many(self, wanted: Iterable[tuple[Hashable, EntryKey]], tags: Sequence[str]) -> list[Lookup]:
        """Ask for entries, whose tags are among `tags`, in one round trip; what is a hit goes into the local tier."""
        wanted, runtime = list(wanted), self._runtime
        runtime.ensure_started()
        if not runtime.breaker.is_closed:
            return [Lookup(LookupStatus.BYPASS)] * len(wanted)
        mark = runtime.local.sequence()
        try:
            data, states = runtime.store.read([self._entry(one) for _, one in wanted], tags)
        except StoreEmptied:
            self._restore()
            return [Lookup(LookupStatus.BYPASS)] * len(wanted)
        except (StoreDown, StoreFull) as error:
            self._failed(error)
            return [Lookup(LookupStatus.BYPASS)] * len(wanted)
        runtime.breaker.record_success()
        if len(wanted) == 1:
            return [self._validate(*wanted[0], data[0], states, mark)]
        by_tag = dict(zip(tags, states, strict=True))
        return [
            self._validate(key, one, entry, [by_tag[tag] for tag in one.all_tags], mark)
            for (key, one), entry in zip(wanted, data, strict=True)
        ]

    def _validate(self, key: Hashable, wanted: EntryKey, entry: bytes | None, states: States, mark: int) -> Lookup:
        verdict = validate(wanted, entry, states)
        if verdict is LookupStatus.HIT and entry is not None:
            return self._unpack(key, wanted, entry, mark)
        return Lookup(verdict)

    def _unpack(self, key: Hashable, wanted: EntryKey, entry: bytes, mark: int) -> Lookup:
        try:
            kind, ends, payload = unpack(wanted, entry)
            thaw = self._shape.loader(payload) if kind is Kind.PRESENT else None
        except DecodeError:
            log.exception("Cache entry of %s cannot be read", wanted.tags[0])
            self._counts.errors += 1
            return Lookup(LookupStatus.MISS)
        if thaw:
            self._counts.hits += 1
        else:
            self._counts.absences += 1
        tags = wanted.tags if thaw else wanted.all_tags
        instrumentation.record(LookupStatus.HIT)
        copies = with_hit_logging(thaw or _absent, tags[0])
        self._runtime.local.put(self._tier, key, copies, tags, ends - time.time(), mark)
        return Lookup(LookupStatus.HIT, thaw)

    def _fill(
        self, found: Sequence[tuple[Hashable, EntryKey, States, T | Missing]], mark: int, lease: str = ""
    ) -> None:
        """Store what was loaded, under the versions that its tags had before."""
        items, local = [], []
        ttl = self._ttl * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - so that not all end at once
        for key, wanted, states, value in found:
            kind = Kind.NEGATIVE if isinstance(value, Missing) else Kind.PRESENT
            seen = version_prefix(wanted, states, kind)
            frozen = self._serialize(wanted, value)
            if seen is None or frozen is None:
                continue
            payload, thaw = frozen
            tags = wanted.all_tags if kind is Kind.NEGATIVE else wanted.tags
            items.append((self._entry(wanted), pack(kind, int(time.time() + ttl), seen, payload), int(ttl * 1000)))
            local.append((key, thaw, tags))
        if (items or lease) and self._store(items, lease):
            self._counts.fills += len(items)
        for key, thaw, tags in local:
            self._runtime.local.put(self._tier, key, with_hit_logging(thaw, tags[0]), tags, ttl, mark)

    def _serialize(self, wanted: EntryKey, value: T | Missing) -> tuple[bytes, Callable[[], T | Missing]] | None:
        """Return the payload and what makes copies of it; None for a value that cannot be kept."""
        if isinstance(value, Missing):
            return b"", _absent
        try:
            payload = self._shape.dumps(value)
            return payload, self._shape.loader(payload)
        except (NotCacheable, DecodeError) as error:
            self._counts.errors += 1
            log.warning("Cache entry of %s cannot be stored: %s", wanted.tags[0], error)
            return None

    def _store(self, items: Sequence[tuple[str, bytes, int]], lease: str) -> bool:
        try:
            self._runtime.store.fill(items, lease)
        except (StoreFull, StoreDown) as error:
            self._failed(error)
            return False
        return True

    def _entry(self, wanted: EntryKey) -> str:
        return f"{wanted.name}@{self._shape.fingerprint}"

    def _restore(self) -> None:
        try:
            if self._runtime.store.reinitialize(quarantine=False):
                self._runtime.on_store_replaced()
        except (StoreDown, StoreFull) as error:
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        self._counts.errors += 1
        self._runtime.on_read_error(error)


def _absent() -> Missing:
    return MISSING
