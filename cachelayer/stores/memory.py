"""The store in the memory of one process, for use without Redis and for tests that interleave steps of the protocol."""

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from time import monotonic
from typing import Any

from cachelayer.protocol import answers
from cachelayer.protocol.entries import INTENT_PREFIX
from cachelayer.protocol.keys import matches
from cachelayer.protocol.messages import LOST
from cachelayer.protocol.tags import GLOBAL_TAG, Namespaces
from cachelayer.stores.base import (
    INTENT_S,
    QUARANTINE,
    QUARANTINE_S,
    OnTouch,
    States,
    StoreDown,
    Subscribe,
    strip_fingerprint,
    token,
)

ENTRY_BYTES = 300  # bytes that an entry takes beside its name and its content
MAX_VERSIONS = 100_000  # how many tags keep a version; an entry that depends on a dropped version is a cache miss


def _ignore(_tags: Sequence[str]) -> None:
    """Ignore touched tags; this is the default for `on_touch`."""


def _forever() -> float:
    """Return a time that never comes; this is the default for `usable_until`."""
    return math.inf


class MemoryStore:
    """A store that keeps tags and entries in dictionaries, guarded by one lock.

    Args:
        max_bytes: how many bytes all entries may take; the least recently used are evicted first.
        namespaces: all registered namespaces.
        on_touch: called with the tags of each announcement.
        usable_until: returns the time on the clock from which this store is down, because another process may own the
            cache.
        clock: returns the time in seconds; tests pass a clock of their own.
        make_token: returns a new version for a tag; tests pass a function of their own.
    """

    subscribe: Subscribe | None = None  # no other process shares the store

    def __init__(  # noqa: PLR0913 - tests replace the clock and the tokens
        self,
        max_bytes: float,
        namespaces: Namespaces,
        *,
        on_touch: OnTouch = _ignore,
        usable_until: Callable[[], float] = _forever,
        clock: Callable[[], float] = monotonic,
        make_token: Callable[[], bytes] = token,
    ) -> None:
        self._entries: OrderedDict[str, tuple[bytes, float]] = OrderedDict()
        self._size = 0  # bytes that all entries take
        self._max_bytes = max_bytes
        self._namespaces = namespaces
        self._versions: OrderedDict[str, bytes] = OrderedDict()
        self._intents: dict[str, dict[bytes, float]] = {}
        self._leases: dict[str, float] = {}
        self._on_touch = on_touch
        self._usable_until = usable_until
        self._clock = clock
        self._token = make_token
        self._lock = threading.RLock()

    def read(self, entries: Sequence[str], tags: Sequence[str]) -> tuple[States, States]:
        """See `Store.read`."""
        self._check_usable()
        with self._lock:
            return [self._get_entry(name) for name in entries], [self._state(tag) for tag in tags]

    def claim_versions(self, tags: Sequence[str], lease: str, lease_ms: int) -> tuple[States, bool]:
        """See `Store.claim_versions`."""
        with self._lock:
            for tag in tags:
                if self._state(tag) is None:
                    self._renew(tag)
            now = self._clock()
            is_acquired = self._leases.get(lease, 0.0) <= now
            if is_acquired:
                self._leases[lease] = now + lease_ms / 1000
            return [self._state(tag) for tag in tags], is_acquired

    def fill(self, entries: Sequence[tuple[str, bytes, int]], lease: str) -> None:
        """See `Store.fill`."""
        with self._lock:
            for name, data, ttl_ms in entries:
                self._discard(name)
                self._entries[name] = (data, self._clock() + ttl_ms / 1000)
                self._size += ENTRY_BYTES + len(name) + len(data)
            while self._size > self._max_bytes:
                self._discard(next(iter(self._entries)))
            self._leases.pop(lease, None)

    def read_answer(self, name: str, etags: str, tags: Sequence[str]) -> tuple[bytes | None, bytes | None, States]:
        """See `Store.read_answer`."""
        self._check_usable()
        with self._lock:
            states: States = [self._state(tag) for tag in tags]
            answer = self._get_entry(name)
            if answer is None:
                return None, None, states
            head, content = answers.split(answer)
            unpacked = answers.unpack_head(head)
            if not answers.is_valid(unpacked, [self._state(tag) for tag in unpacked.tags]):
                return None, None, states
        return head, None if unpacked.etag in etags else content, states

    def fill_answer(self, name: str, head: bytes, content: bytes, ttl_ms: int) -> None:
        """See `Store.fill_answer`."""
        self.fill([(name, answers.join(head, content), ttl_ms)], "")

    def begin(self, write_id: bytes, tags: Sequence[str]) -> None:
        """See `Store.begin`."""
        self._check_usable()
        with self._lock:
            for tag in tags:
                self._hold(tag, write_id, INTENT_S)
        self._on_touch(tags)

    def end(self, write_id: bytes, tags: Sequence[str], *, may_have_expired: bool = False, again: bool = False) -> None:  # noqa: ARG002 - this store always answers at once
        """See `Store.end`."""
        self._check_usable()
        lost = 0
        with self._lock:
            for tag in tags:
                self._state(tag)  # called to remove the writes whose intents have expired
                holders = self._intents.get(tag, {})
                lost += holders.pop(write_id, None) is None
                if not holders:
                    self._renew(tag)
        if lost:
            self._on_touch([*tags, f"{LOST}{0 if again else lost}"])

    def touch(self, tags: Sequence[str]) -> None:
        """See `Store.touch`."""
        self._check_usable()
        self._touch(tags)

    def _touch(self, tags: Sequence[str]) -> None:
        with self._lock:
            for tag in tags:
                if not (self._state(tag) or b"").startswith(INTENT_PREFIX):
                    self._renew(tag)
        self._on_touch(tags)

    def put(self, entry: str, body: bytes, tags: Sequence[str], ttl_ms: int) -> None:
        """See `Store.put`."""
        with self._lock:
            self.touch(tags[:1])
            self._discard(entry)
            states, _ = self.claim_versions(tags, "", 0)
            versions = [state for state in states if state is not None and not state.startswith(INTENT_PREFIX)]
            if len(versions) == len(tags):
                self.fill([(entry, body + b"".join(versions), ttl_ms)], "")

    def reinitialize(self, *, quarantine: bool) -> bool:
        """See `Store.reinitialize`. A memory store is never emptied, but may have dropped a namespace's version."""
        self._check_usable()
        with self._lock:
            for namespace in self._namespaces:
                if self._state(namespace.name) is None:
                    self._renew(namespace.name)
            if quarantine:
                self._hold(GLOBAL_TAG, QUARANTINE, QUARANTINE_S)
        if quarantine:
            self._on_touch([GLOBAL_TAG])
        return quarantine

    def note_database(self, identity: str, previous: str) -> bool:
        """See `Store.note_database`; no other process knows the identity."""
        if previous in {"", identity}:
            return False
        self.touch([GLOBAL_TAG])
        return True

    def remove(self, pattern: str) -> int:
        """See `Store.remove`."""
        with self._lock:
            names = list(self.entry_names(pattern))
            for name in names:
                self._discard(name)
            tags = [tag for tag in self._versions if matches(tag, pattern)]
        self._touch(tags)
        return len(names)

    def entry_names(self, pattern: str) -> Iterator[str]:
        """See `Store.entry_names`."""
        with self._lock:
            return iter([name for name in self._entries if matches(strip_fingerprint(name), pattern)])

    def verify_connection(self, connection: Any) -> bool:  # noqa: ARG002 - the interface requires the parameter
        """See `Store.verify_connection`; a memory store has no connections."""
        return False

    def release_idle(self) -> None:
        """See `Store.release_idle`; a memory store has no connections."""

    def announce(self, *words: str) -> None:
        """See `Store.announce`; no other process reads a memory store."""

    def _check_usable(self) -> None:
        """Raise `StoreDown` if another process may own the cache."""
        if self._clock() >= self._usable_until():
            raise StoreDown("this process does not own the cache now")

    def _discard(self, name: str) -> None:
        data, _ = self._entries.pop(name, (None, 0.0))
        if data is not None:
            self._size -= ENTRY_BYTES + len(name) + len(data)

    def _get_entry(self, name: str) -> bytes | None:
        data, expires = self._entries.get(name, (None, 0.0))
        if data is None:
            return None
        if expires <= self._clock():
            self._discard(name)
            return None
        self._entries.move_to_end(name)
        return data

    def _state(self, tag: str) -> bytes | None:
        """Return the state of a tag, after removing the writes whose intents on the tag have expired."""
        holders = self._intents.get(tag)
        if holders is not None:
            now = self._clock()
            for write_id in [write_id for write_id, expires in holders.items() if expires <= now]:
                del holders[write_id]
            if holders:
                return INTENT_PREFIX + b",".join(holders)
            del self._intents[tag]
        return self._versions.get(tag)

    def _hold(self, tag: str, write_id: bytes, seconds: float) -> None:
        """Let a write hold a tag, or extend the intent that the write already has on the tag."""
        self._state(tag)
        self._versions.pop(tag, None)
        self._intents.setdefault(tag, {})[write_id] = self._clock() + seconds

    def _renew(self, tag: str) -> None:
        """Give a tag a new version; drop the oldest version if there are more than `MAX_VERSIONS`."""
        self._intents.pop(tag, None)
        self._versions[tag] = self._token()
        self._versions.move_to_end(tag)
        if len(self._versions) > MAX_VERSIONS:
            self._versions.popitem(last=False)
