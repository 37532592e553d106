"""The fake Redis server of a scenario, and the store through which each process uses the server.

`Server` is a `MemoryStore` with faults. `StoreClient` splits each operation into the steps that the operation takes on
Redis, where each SET of a pipeline is a separate step. A process that touches tags invalidates its own local cache one
step after the server has announced the tags to the other processes.
"""

from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, Protocol

from cachelayer.protocol.entries import HEADER_SIZE, VERSION_SIZE, body_end
from cachelayer.protocol.messages import LOST
from cachelayer.protocol.tags import GLOBAL_TAG, Namespaces
from cachelayer.runtime.runtime import CacheRuntime
from cachelayer.stores.base import (
    QUARANTINE,
    OnTouch,
    States,
    StoreDown,
    StoreEmptied,
    StoreFull,
    StoreRefuses,
    Subscribe,
)
from cachelayer.stores.memory import MemoryStore
from tests.cachelayer.interleavings.scheduler import observe, running_actor, step

ALWAYS_DELIVERED = frozenset({GLOBAL_TAG})  # words that each process receives
MAX_BYTES = 2**20  # more than the entries of any scenario take


class Client(Protocol):
    """The attributes of a process that `Server` and `StoreClient` use; `Process` documents each of them."""

    runtime: CacheRuntime
    channel: deque[tuple[str, tuple[str, ...]]]
    uses_local_cache: bool
    can_be_cut_off: bool
    is_cut_off: bool


class Server(MemoryStore):
    """A fake Redis server.

    Attributes:
        subscribers: processes that receive invalidation messages.
        is_full: whether the server rejects new entries.
        refuses_writes: whether the server answers only reads.
        run_id: a number that changes each time the server starts, as on Redis.
        initialized_run: the `run_id` at the last initialization by a process; 0 after the server was emptied.
        quarantines: the number of quarantines of all entries so far.
    """

    def __init__(self, namespaces: Namespaces, clock: Callable[[], float], make_token: Callable[[], bytes]) -> None:
        super().__init__(MAX_BYTES, namespaces, on_touch=self._publish, clock=clock, make_token=make_token)
        self.subscribers: list[Client] = []
        self.is_full = self.refuses_writes = False
        self.run_id = self.initialized_run = 1
        self.quarantines = 0
        super().reinitialize(quarantine=False)

    def _publish(self, words: Sequence[str]) -> None:
        """Send an invalidation message to all subscribers; to the sender only if the message reports lost intents."""
        for process in self.subscribers:
            is_news = process is not running_actor().process or any(word.startswith(LOST) for word in words)
            if is_news and (process.uses_local_cache or ALWAYS_DELIVERED.intersection(words)):
                process.channel.append((running_actor().name, tuple(words)))

    def reinitialize(self, *, quarantine: bool) -> bool:
        """See `Store.reinitialize`: a server that was emptied or restarted counts as replaced, as in the Lua script."""
        is_replaced = quarantine or self.initialized_run != self.run_id
        self.initialized_run = self.run_id
        self.quarantines += is_replaced
        return super().reinitialize(quarantine=is_replaced)

    def announce(self, *words: str) -> None:
        """See `Store.announce`."""
        self._publish(words)

    # --- faults -------------------------------------------------------------------------------------------------------
    def lose_intents(self) -> None:
        """Evict all write intents."""
        self._intents.clear()

    def flush(self) -> None:
        """Remove all data from the server, as FLUSHALL does."""
        self.initialized_run = 0
        self.restore(((), (), ()))

    def snapshot(self) -> tuple[tuple[object, ...], ...]:
        """Return a copy of all entries, versions and intents, as Redis saves them to disk."""
        intents = {tag: dict(holders) for tag, holders in self._intents.items()}
        return tuple(self._entries.items()), tuple(self._versions.items()), tuple(intents.items())

    def restore(self, snapshot: tuple[tuple[object, ...], ...]) -> None:
        """Replace the contents of the server by a snapshot, and remove all leases."""
        targets = (self._entries, self._versions, self._intents, self._leases)
        for target, items in zip(targets, (*snapshot, ()), strict=True):
            target.clear()  # type: ignore[attr-defined]  # all targets are dicts
            target.update(items)  # type: ignore[attr-defined]  # all targets are dicts

    def renew_intents(self, seconds: float, is_renewed: Callable[[bytes], bool]) -> None:
        """Extend the intents of all writes for which `is_renewed` returns True, as heartbeats would."""
        for holders in self._intents.values():
            for write in filter(is_renewed, holders):
                holders[write] += seconds

    # --- contents -----------------------------------------------------------------------------------------------------
    def intent_holders(self) -> set[bytes]:
        """Return the ids of the writes that hold an intent."""
        for tag in list(self._intents):
            self._state(tag)  # reading a state removes expired intents
        return {write for holders in self._intents.values() for write in holders}

    @property
    def is_quarantined(self) -> bool:
        """Whether there is a quarantine now, in which readers use no cache entry."""
        return QUARANTINE in (self._state(GLOBAL_TAG) or b"")

    def state(self) -> Hashable:
        """Return all data that a process can read from the server."""
        now = self._clock()
        return (
            tuple((tag, self._state(tag)) for tag in sorted({*self._versions, *self._intents})),
            tuple((name, self._comparable(data)) for name, (data, _) in sorted(self._entries.items())),
            tuple(sorted(name for name, ends in self._leases.items() if name and ends > now)),
            (self.is_full, self.refuses_writes, self.run_id, self.initialized_run),
        )

    def _comparable(self, data: bytes) -> bytes:
        """Return an entry without its expiry time, for comparisons of states.

        Return empty bytes if a version in the entry no longer exists, because then the entry can never be valid again.
        """
        versions, start = set(self._versions.values()), body_end(data)
        if any(data[at : at + VERSION_SIZE] not in versions for at in range(start, len(data), VERSION_SIZE)):
            return b""
        return data[:1] + data[HEADER_SIZE:]


class StoreClient:
    """The `Store` of one simulated process, in which each command to the fake server is a step.

    Args:
        server: the server that all processes share.
        process: the process that uses the store.
        on_touch: a function that is called with the tags that the process announces to other processes.
        untouched_tags: tags whose state never changes, so that claiming versions of these tags takes no step.
        atomic_pipelines: whether all commands of a pipeline are one step.
    """

    subscribe: Subscribe | None = None  # the system delivers the messages

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
        self._send("MGET", is_read=True)
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
        # The lease is taken in the same step as the last version, because a lease only decides which readers wait.
        _, is_acquired = self._server.claim_versions([], lease, lease_ms)
        observe(is_acquired)
        return states, is_acquired

    def fill(self, entries: Sequence[tuple[str, bytes, int]], lease: str) -> None:
        for entry in entries:
            self._send("SET", needs_room=True)
            self._server.fill([entry], "")
        self._server.fill([], lease)

    def read_answer(self, name: str, etags: str, tags: Sequence[str]) -> tuple[bytes | None, bytes | None, States]:
        self._send("READ_ANSWER", is_read=True)
        return self._server.read_answer(name, etags, tags)

    def fill_answer(self, name: str, head: bytes, content: bytes, ttl_ms: int) -> None:
        self._send("SET", needs_room=True)
        self._server.fill_answer(name, head, content, ttl_ms)

    def begin(self, write: bytes, tags: Sequence[str]) -> None:
        self._send(f"begin {' '.join(tags)}")
        self._check_touch(tags)
        self._server.begin(write, tags)
        self._on_touch(tags)

    def end(self, write_id: bytes, tags: Sequence[str], *, may_have_expired: bool = False, again: bool = False) -> None:
        self._send("end")
        self._server.end(write_id, tags, may_have_expired=may_have_expired, again=again)

    def touch(self, tags: Sequence[str]) -> None:
        self._send(f"touch {' '.join(tags)}")
        self._check_touch(tags)
        self._server.touch(tags)
        self._on_touch(tags)

    def put(self, entry: str, body: bytes, tags: Sequence[str], ttl_ms: int) -> None:
        self._send("put", needs_room=True)
        self._server.put(entry, body, tags, ttl_ms)
        self._on_touch(tags[:1])

    def reinitialize(self, *, quarantine: bool) -> bool:
        self._send("reinitialize")
        is_replaced = self._server.reinitialize(quarantine=quarantine)
        observe(is_replaced)
        return is_replaced

    def note_database(self, identity: str, previous: str) -> bool:
        return self._server.note_database(identity, previous)

    def remove(self, pattern: str) -> int:
        self._send("remove")
        return self._server.remove(pattern)

    def entry_names(self, pattern: str) -> Iterator[str]:
        return self._server.entry_names(pattern)

    def announce(self, *words: str) -> None:
        if self._server.subscribers != [self._process]:
            self._send("announce")
        self._server.announce(*words)

    def verify_connection(self, connection: Any) -> bool:  # noqa: ARG002 - the protocol `Store` defines the argument
        return False

    def release_idle(self) -> None:
        """Do nothing, because the fake store has no connections."""

    def _send(self, command: str, *, needs_room: bool = False, is_read: bool = False) -> None:
        """Take the step of a command; raise an error if the server is unreachable, or does not accept the command."""
        step(command)
        if self._process.is_cut_off:
            observe("down")
            raise StoreDown("cut off")
        if self._run_id != self._server.run_id:
            self._reconnect()
            step(command)
        if self._server.refuses_writes and not is_read:
            observe("refused")
            raise StoreRefuses("refused")
        if needs_room and self._server.is_full:
            observe("full")
            raise StoreFull("full")

    def _reconnect(self) -> None:
        """Initialize a restarted server, as `CacheRuntime.verify_connection` does for each new connection."""
        self._run_id = self._server.run_id
        if self._server.reinitialize(quarantine=False):
            self._process.runtime.on_store_replaced()

    def _check_touch(self, tags: Sequence[str]) -> None:
        assert not self._untouched_tags.intersection(tags), f"the scenario must list these as touched_tags: {tags}"
