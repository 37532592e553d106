"""The fake store: one server, and the client of each process.

`Server` is the store of one process (`MemoryStore`) with faults. `StoreClient` turns its operations into the steps that
they are on a Redis server, where each SET of a pipeline is a separate step. A process that announces tags invalidates
its own local cache one step after the server has announced them.
"""

from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from cachelayer.protocol.entries import HEADER_SIZE, VERSION_SIZE
from cachelayer.protocol.messages import LOST, STORE_READ_ONLY
from cachelayer.protocol.tags import GLOBAL_TAG, Namespaces
from cachelayer.runtime.runtime import CacheRuntime
from cachelayer.stores.base import QUARANTINE, OnTouch, States, StoreDown, StoreEmptied, StoreFull, Subscription
from cachelayer.stores.memory import MemoryStore
from tests.cachelayer.interleavings.scheduler import observe, running_actor, step

ALWAYS_DELIVERED = frozenset({GLOBAL_TAG, STORE_READ_ONLY})  # words that matter without a local cache, too
MAX_ENTRIES = 100  # more than any scenario stores


class Client(Protocol):
    """A process, as the server and its connection see it. See `Process`."""

    runtime: CacheRuntime
    channel: deque[tuple[str, tuple[str, ...]]]
    uses_local_cache: bool
    can_be_cut_off: bool
    is_cut_off: bool


class Server(MemoryStore):
    """One server.

    Attributes:
        subscribers: processes that receive invalidation messages.
        is_full: whether it rejects new entries.
        run_id: changes each time the server starts, as on Redis.
        initialized_run: the run that a process has initialized last; 0 after the server was emptied.
        quarantines: how often all entries were put into quarantine.
    """

    def __init__(self, namespaces: Namespaces, clock: Callable[[], float], make_token: Callable[[], bytes]) -> None:
        super().__init__(MAX_ENTRIES, namespaces, on_touch=self._publish, clock=clock, make_token=make_token)
        self.subscribers: list[Client] = []
        self.is_full = False
        self.run_id = self.initialized_run = 1
        self.quarantines = 0
        super().reinitialize(quarantine=False)

    def _publish(self, words: Sequence[str]) -> None:
        """Send a message to all subscribers. The sender gets it only if the server has added lost intents."""
        for process in self.subscribers:
            is_news = process is not running_actor().process or any(word.startswith(LOST) for word in words)
            if is_news and (process.uses_local_cache or ALWAYS_DELIVERED.intersection(words)):
                process.channel.append((running_actor().name, tuple(words)))

    def reinitialize(self, *, quarantine: bool) -> bool:
        """See `Store.reinitialize`: a server that was emptied or restarted counts as replaced, as in the script."""
        is_replaced = quarantine or self.initialized_run != self.run_id
        self.initialized_run = self.run_id
        self.quarantines += is_replaced
        return super().reinitialize(quarantine=is_replaced)

    def announce(self, *words: str) -> None:
        """See `Store.announce`."""
        self._publish(words)

    # --- faults -------------------------------------------------------------------------------------------------------
    def lose_intents(self) -> None:
        """Evict all intents."""
        self._intents.clear()

    def flush(self) -> None:
        """Remove everything, as FLUSHALL does."""
        self.initialized_run = 0
        self.restore(((), (), ()))

    def snapshot(self) -> tuple[tuple[object, ...], ...]:
        """Return the entries, versions and intents that a restarted server would load."""
        intents = {tag: dict(holders) for tag, holders in self._intents.items()}
        return tuple(self._entries.items()), tuple(self._versions.items()), tuple(intents.items())

    def restore(self, snapshot: tuple[tuple[object, ...], ...]) -> None:
        """Replace the contents by a snapshot; leases are not in it."""
        targets = (self._entries, self._versions, self._intents, self._leases)
        for target, items in zip(targets, (*snapshot, ()), strict=True):
            target.clear()  # type: ignore[attr-defined]  # all are dicts
            target.update(items)  # type: ignore[attr-defined]

    def renew_intents(self, seconds: float, is_renewed: Callable[[bytes], bool]) -> None:
        """Extend the intents of writes for which `is_renewed` returns True, as heartbeats would."""
        for holders in self._intents.values():
            for write in filter(is_renewed, holders):
                holders[write] += seconds

    # --- contents -----------------------------------------------------------------------------------------------------
    def intent_holders(self) -> set[bytes]:
        """Return the ids of the writes that hold an intent."""
        for tag in list(self._intents):
            self._state(tag)  # removes expired intents
        return {write for holders in self._intents.values() for write in holders}

    @property
    def is_quarantined(self) -> bool:
        """Whether no entry is trusted now."""
        return QUARANTINE in (self._state(GLOBAL_TAG) or b"")

    def state(self) -> Hashable:
        """Return all that a process can read from the server."""
        now = self._clock()
        return (
            tuple((tag, self._state(tag)) for tag in sorted({*self._versions, *self._intents})),
            tuple((name, self._comparable(data)) for name, (data, _) in sorted(self._entries.items())),
            tuple(sorted(name for name, ends in self._leases.items() if name and ends > now)),
            (self.is_full, self.run_id, self.initialized_run),
        )

    def _comparable(self, data: bytes) -> bytes:
        """Return an entry without its expiry.

        If one of its versions no longer exists, the entry can never be valid again; then the result is empty.
        """
        versions, position = set(self._versions.values()), HEADER_SIZE
        while (version := data[position : position + VERSION_SIZE]).startswith(b"<") and position < len(data):
            if version not in versions:
                return b""
            position += VERSION_SIZE
        return data[:1] + data[HEADER_SIZE:]


class StoreClient:
    """The store as one process uses it. See `Store`.

    Args:
        server: the server that all processes share.
        process: the process.
        on_touch: called with the tags that this process announces.
        untouched_tags: tags whose state never changes; so claiming their versions takes no step.
        atomic_pipelines: whether all commands of a pipeline are one step.
    """

    is_shared = False

    def __init__(
        self,
        server: Server,
        process: Client,
        on_touch: OnTouch,
        untouched_tags: frozenset[str],
        *,
        atomic_pipelines: bool,
    ) -> None:
        self._atomic_pipelines = atomic_pipelines
        self._server = server
        self._process = process
        self._on_touch = on_touch
        self._untouched_tags = untouched_tags
        self._run_id = server.run_id

    def read(self, entries: Sequence[str], tags: Sequence[str]) -> tuple[States, States]:
        self._send("MGET")
        if not self._server.initialized_run:
            observe("emptied")
            raise StoreEmptied("emptied")
        found, states = self._server.read(entries, tags)
        observe((tuple(found), tuple(states)))
        return found, states

    def claim_versions(self, tags: Sequence[str], lease: str, lease_ms: int) -> tuple[States, bool]:
        states: States = []
        if self._atomic_pipelines:
            self._send("SET NX", needs_room=True)
        for tag in tags:
            if tag not in self._untouched_tags and not self._atomic_pipelines:
                self._send(f"SET NX {tag}", needs_room=True)
            states += self._server.claim_versions([tag], "", 0)[0]
            if tag not in self._untouched_tags:
                observe(states[-1])
        # In the same step as the last tag, because a lease only decides which reader waits for which.
        _, is_acquired = self._server.claim_versions([], lease, lease_ms)
        observe(is_acquired)
        return states, is_acquired

    def fill(self, entries: Sequence[tuple[str, bytes, int]], lease: str) -> None:
        for entry in entries:
            self._send("SET", needs_room=True)
            self._server.fill([entry], "")
        self._server.fill([], lease)

    def begin(self, write: bytes, tags: Sequence[str]) -> None:
        self._send(f"begin {' '.join(tags)}")
        self._check_touch(tags)
        self._server.begin(write, tags)
        self._on_touch(tags)

    def end(self, write: bytes, tags: Sequence[str]) -> None:
        self._send("end")
        self._server.end(write, tags)

    def touch(self, tags: Sequence[str]) -> None:
        self._send(f"touch {' '.join(tags)}")
        self._check_touch(tags)
        self._server.touch(tags)
        self._on_touch(tags)

    def put(self, entry: str, head: bytes, payload: bytes, tags: Sequence[str], ttl_ms: int) -> None:
        self._send("put", needs_room=True)
        self._server.put(entry, head, payload, tags, ttl_ms)
        self._on_touch(tags[:1])

    def reinitialize(self, *, quarantine: bool) -> bool:
        self._send("reinitialize")
        is_replaced = self._server.reinitialize(quarantine=quarantine)
        observe(is_replaced)
        return is_replaced

    def check_writable(self) -> None:
        if self._process.can_be_cut_off:  # otherwise it always succeeds
            self._send("check_writable")

    def remove(self, pattern: str) -> int:
        self._send("remove")
        return self._server.remove(pattern)

    def entry_names(self, pattern: str) -> Iterator[str]:
        return self._server.entry_names(pattern)

    def announce(self, *words: str) -> None:
        if self._server.subscribers != [self._process]:
            self._send("announce")
        self._server.announce(*words)

    def subscribe(self) -> AbstractContextManager[Subscription]:
        raise NotImplementedError("events of the system deliver the messages")

    def verify_connection(self, connection: Any) -> bool:  # noqa: ARG002 - the protocol defines it
        return False

    def release_idle(self) -> None:
        """Do nothing, because there are no connections."""

    def _send(self, command: str, *, needs_room: bool = False) -> None:
        """Take one step, and raise the error that the command causes in the current state of the server."""
        step(command)
        if self._process.is_cut_off:
            observe("down")
            raise StoreDown("cut off")
        if self._run_id != self._server.run_id:
            self._reconnect()
            step(command)
        if needs_room and self._server.is_full:
            observe("full")
            raise StoreFull("full")

    def _reconnect(self) -> None:
        """Initialize a server that was restarted, as `CacheRuntime.verify_connection` does for a new connection."""
        self._run_id = self._server.run_id
        if self._server.reinitialize(quarantine=False):
            self._process.runtime.on_store_replaced()

    def _check_touch(self, tags: Sequence[str]) -> None:
        assert not self._untouched_tags.intersection(tags), f"the scenario must list these as touched_tags: {tags}"
