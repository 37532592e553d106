"""One read: the shared tier, the loader, the fill. The steps and their order are DESIGN's; `entries` decides.

The local tier comes before all this, in the caller, who has nothing to pay there but a look into a dict.
"""

import random
import time
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from time import monotonic, perf_counter
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar

from cachelayer import observed
from cachelayer.codec import Garbage, NotCacheable
from cachelayer.entries import Kind, Verdict, Wanted, judge, opened, versions, written
from cachelayer.namespaces import Namespace
from cachelayer.service import Service
from cachelayer.store.base import States, StoreDown, StoreEmptied, StoreFull
from cachelayer.told import DATABASE, SHARED, tell, telling
from logs.contexts import Context

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)
LEASE_MS = 3000  # for a loader in another process
POLL = 0.01  # seconds
PATIENCE = 5  # polls; then the database is asked here as well
WAITS = 2  # for loads of other threads
JITTER = 0.1  # of the time to live, either way

log = Context.CACHE.logger


class Absent:
    """What a loader returns for what does not exist."""


ABSENT: Final = Absent()


class Shape(Protocol[T]):
    """How values of one kind are written and made anew."""

    fingerprint: str

    def dump(self, value: T) -> bytes:
        """Return the payload."""

    def freeze(self, payload: bytes) -> Callable[[], T]:
        """Return what makes a fresh copy at each call."""


class Found(NamedTuple):
    """One entry from the shared tier, in three states: a hit with its copies, an absence, or neither."""

    verdict: Verdict
    thaw: Callable[[], Any] | None = None


class Reader(Generic[T]):
    """Reads entries of one shape in one namespace."""

    def __init__(self, service: Service, namespace: Namespace, shape: Shape[T]) -> None:
        self._service = service
        self._shape = shape
        self._name = namespace.name
        self._ttl = namespace.ttl
        self._tier = service.local.tier(namespace)
        self._counts = service.counters.shared(namespace)

    # --- one entry ----------------------------------------------------------------------------------------------------
    def read(
        self, key: Hashable, wanted: Wanted, load: Callable[[], T | Absent], may_fill: Callable[[], bool]
    ) -> T | Absent:
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
        found, value = self._look(key, wanted)
        if found is Verdict.HIT:
            return value
        if may_fill() and found is Verdict.MISS:
            return self._fly(key, wanted, load, since)
        return self._bypass(wanted, load)

    def peek(self, key: Hashable, wanted: Wanted) -> T | Absent:
        """Return a value that someone has put there, or ABSENT."""
        self._counts.local_misses += 1
        found, value = self._look(key, wanted)
        if found is Verdict.HIT:
            return value
        self._counts.misses += 1
        return ABSENT

    def put(self, wanted: Wanted, value: T, ttl: float) -> bool:
        """Store a value in the place of what was there; return whether the store has taken it.

        Raises:
            NotCacheable: it has no encoding.
        """
        payload, head = self._shape.dump(value), written(Kind.PRESENT, int(time.time() + ttl), b"", b"")
        try:
            if self._service.is_guest:
                return False
            self._service.store.put(self._entry(wanted), head, payload, wanted.tags, int(ttl * 1000))
        except (StoreFull, StoreDown) as error:
            self._failed(error)
            return False
        self._counts.fills += 1
        return True

    def _fly(self, key: Hashable, wanted: Wanted, load: Callable[[], T | Absent], since: float) -> T | Absent:
        """Load as the only one of this process; or wait for who does, and look again."""
        flights = self._service.flights
        for _ in range(WAITS):
            if flights.lead(wanted.name, since):
                try:
                    return self._lead(key, wanted, load)
                finally:
                    flights.land(wanted.name)
            since = monotonic()
            found, value = self._look(key, wanted)
            if found is not Verdict.MISS:
                return value if found is Verdict.HIT else self._bypass(wanted, load)
        return self._lead(key, wanted, load)

    def _lead(self, key: Hashable, wanted: Wanted, load: Callable[[], T | Absent]) -> T | Absent:
        """Make sure that all tags have versions, and only then load."""
        service, mark = self._service, self._service.local.mark()
        try:
            states, is_ours = service.store.claim(wanted.all_tags, wanted.name, LEASE_MS)
        except (StoreFull, StoreDown) as error:
            self._failed(error)
            return self._bypass(wanted, load)
        for _ in range(0 if is_ours else PATIENCE):
            time.sleep(POLL)
            found, value = self._look(key, wanted)
            if found is Verdict.HIT:
                return value
        observed.note(Verdict.MISS)
        self._counts.misses += 1
        began = perf_counter()
        try:
            value = load()
        except BaseException:
            self._stored([], wanted.name)  # others need not wait for us
            raise
        tell(Verdict.MISS, wanted.tags[0], DATABASE, began)
        self._fill([(key, wanted, states, value)], mark, lease=wanted.name)
        return value

    def _bypass(self, wanted: Wanted, load: Callable[[], T | Absent]) -> T | Absent:
        observed.note(Verdict.BYPASS)
        self._counts.bypasses += 1
        began = perf_counter()
        value = load()
        tell(Verdict.BYPASS, wanted.tags[0], DATABASE, began)
        return value

    def _look(self, key: Hashable, wanted: Wanted) -> tuple[Verdict, T | Absent]:
        """Ask the shared tier for one entry."""
        began = perf_counter()
        (found,) = self._look_at([(key, wanted)], wanted.all_tags)
        if found.verdict is not Verdict.HIT:
            return found.verdict, ABSENT
        value = found.thaw() if found.thaw else ABSENT
        tell(Verdict.HIT, wanted.tags[0], SHARED, began)
        return Verdict.HIT, value

    # --- many entries -------------------------------------------------------------------------------------------------
    def read_many(
        self,
        wanted: Mapping[K, Wanted],
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
        mark = self._service.local.mark()
        tags = list(dict.fromkeys(tag for one in wanted.values() for tag in one.all_tags))
        answers = dict(zip(wanted, self._look_at(wanted.items(), tags), strict=True))
        values = {key: one.thaw() for key, one in answers.items() if one.verdict is Verdict.HIT and one.thaw}
        rest = [key for key, one in answers.items() if one.verdict is not Verdict.HIT]
        tell(Verdict.HIT, self._name, SHARED, began, len(wanted) - len(rest))
        if not rest:
            return values
        missed = [key for key in rest if answers[key].verdict is Verdict.MISS] if may_fill() else []
        states = self._claimed([wanted[key] for key in missed])
        counts.misses += len(missed)
        counts.bypasses += len(rest) - len(missed)
        observed.note(Verdict.BYPASS if len(rest) > len(missed) else Verdict.MISS)
        began = perf_counter()
        loaded = load(rest)
        tell(Verdict.MISS, self._name, DATABASE, began, len(missed))
        tell(Verdict.BYPASS, self._name, DATABASE, began, len(rest) - len(missed))
        values.update(loaded)
        if states:
            found = [
                (key, wanted[key], [states.get(tag) for tag in wanted[key].all_tags], loaded.get(key, ABSENT))
                for key in missed
            ]
            self._fill(found, mark)
        return values

    def _claimed(self, wanted: Sequence[Wanted]) -> dict[str, bytes | None]:
        tags = list(dict.fromkeys(tag for one in wanted for tag in one.all_tags))
        if not tags:
            return {}
        try:
            states, _ = self._service.store.claim(tags, "", 0)
        except (StoreFull, StoreDown) as error:
            self._failed(error)
            return {}
        return dict(zip(tags, states, strict=True))

    # --- the shared tier ----------------------------------------------------------------------------------------------
    def _look_at(self, wanted: Iterable[tuple[Hashable, Wanted]], tags: Sequence[str]) -> list[Found]:
        """Ask for entries, whose tags are among `tags`, in one round trip; what is a hit goes into the local tier."""
        wanted, service = list(wanted), self._service
        if not service.link.usable:
            return [Found(Verdict.BYPASS)] * len(wanted)
        service.awake()
        mark = service.local.mark()
        try:
            data, states = service.store.read([self._entry(one) for _, one in wanted], tags)
        except StoreEmptied:
            self._restore()
            return [Found(Verdict.BYPASS)] * len(wanted)
        except (StoreDown, StoreFull) as error:
            self._failed(error)
            return [Found(Verdict.BYPASS)] * len(wanted)
        service.link.succeeded()
        if len(wanted) == 1:
            return [self._judged(*wanted[0], data[0], states, mark)]
        by_tag = dict(zip(tags, states, strict=True))
        return [
            self._judged(key, one, entry, [by_tag[tag] for tag in one.all_tags], mark)
            for (key, one), entry in zip(wanted, data, strict=True)
        ]

    def _judged(self, key: Hashable, wanted: Wanted, entry: bytes | None, states: States, mark: int) -> Found:
        verdict = judge(wanted, entry, states)
        if verdict is Verdict.HIT and entry is not None:
            return self._opened(key, wanted, entry, mark)
        return Found(verdict)

    def _opened(self, key: Hashable, wanted: Wanted, entry: bytes, mark: int) -> Found:
        try:
            kind, ends, payload = opened(wanted, entry)
            thaw = self._shape.freeze(payload) if kind is Kind.PRESENT else None
        except Garbage:
            log.exception("Cache entry of %s cannot be read", wanted.tags[0])
            self._counts.errors += 1
            return Found(Verdict.MISS)
        if thaw:
            self._counts.hits += 1
        else:
            self._counts.absences += 1
        tags = wanted.tags if thaw else wanted.all_tags
        observed.note(Verdict.HIT)
        copies = telling(thaw or _absent, tags[0])
        self._service.local.fill(self._tier, key, copies, tags, ends - time.time(), mark)
        return Found(Verdict.HIT, thaw)

    def _fill(self, found: Sequence[tuple[Hashable, Wanted, States, T | Absent]], mark: int, lease: str = "") -> None:
        """Store what was loaded, under the versions that its tags had before."""
        items, local = [], []
        ttl = self._ttl * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - so that not all end at once
        for key, wanted, states, value in found:
            kind = Kind.ABSENT if isinstance(value, Absent) else Kind.PRESENT
            seen = versions(wanted, states, kind)
            frozen = self._frozen(wanted, value)
            if seen is None or frozen is None:
                continue
            payload, thaw = frozen
            tags = wanted.all_tags if kind is Kind.ABSENT else wanted.tags
            items.append((self._entry(wanted), written(kind, int(time.time() + ttl), seen, payload), int(ttl * 1000)))
            local.append((key, thaw, tags))
        if (items or lease) and self._stored(items, lease):
            self._counts.fills += len(items)
        for key, thaw, tags in local:
            self._service.local.fill(self._tier, key, telling(thaw, tags[0]), tags, ttl, mark)

    def _frozen(self, wanted: Wanted, value: T | Absent) -> tuple[bytes, Callable[[], T | Absent]] | None:
        """Return the payload and what makes copies of it; None for a value that cannot be kept."""
        if isinstance(value, Absent):
            return b"", _absent
        try:
            payload = self._shape.dump(value)
            return payload, self._shape.freeze(payload)
        except (NotCacheable, Garbage) as error:
            self._counts.errors += 1
            log.warning("Cache entry of %s cannot be stored: %s", wanted.tags[0], error)
            return None

    def _stored(self, items: Sequence[tuple[str, bytes, int]], lease: str) -> bool:
        try:
            self._service.store.fill(items, lease)
        except (StoreFull, StoreDown) as error:
            self._failed(error)
            return False
        return True

    def _entry(self, wanted: Wanted) -> str:
        return f"{wanted.name}@{self._shape.fingerprint}"

    def _restore(self) -> None:
        try:
            if self._service.store.restore(quarantine=False):
                self._service.strange_store()
        except (StoreDown, StoreFull) as error:
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        self._counts.errors += 1
        self._service.failed(error)


def _absent() -> Absent:
    return ABSENT
