"""The store's double: one server, and how each process reaches it.

`Server` is the store of the embedded default. `Reached` makes steps of its operations, one for each that is one on a
Redis server: each SET of a pipeline is a step of its own, and what a process announces it applies to its own local tier
one step after the server has taken it.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from cachelayer.protocol.entries import HEADER_SIZE, VERSION_SIZE
from cachelayer.protocol.messages import LOST, STORE_READ_ONLY
from cachelayer.protocol.tags import GLOBAL_TAG, Namespaces
from cachelayer.stores.base import QUARANTINE, OnTouch, States, StoreDown, StoreEmptied, StoreFull, Subscription
from cachelayer.stores.memory import MemoryStore
from tests.cachelayer.interleavings.schedule import note, running, step

if TYPE_CHECKING:
    from tests.cachelayer.interleavings.process import Process

OF_INTEREST = frozenset({GLOBAL_TAG, STORE_READ_ONLY})  # where nothing is kept in a local tier
ENTRIES = 100  # more than there are


class Server(MemoryStore):
    """One server.

    Attributes:
        subscribers: processes that hear what others announce.
        is_full: whether it takes no entries.
        run: another one each time that it is started.
        vouched: the run that somebody has vouched for.
        quarantines: how often everything has been put into quarantine.
    """

    def __init__(self, namespaces: Namespaces, clock: Callable[[], float], make_token: Callable[[], bytes]) -> None:
        super().__init__(ENTRIES, namespaces, on_touch=self._publish, clock=clock, make_token=make_token)
        self.subscribers: list[Process] = []
        self.is_full = False
        self.run = self.vouched = 1
        self.quarantines = 0
        super().reinitialize(quarantine=False)

    def _publish(self, words: Sequence[str]) -> None:
        """Send a message to all; its sender leaves it aside, unless only the server could know what it says."""
        for process in self.subscribers:
            is_news = process is not running().process or any(word.startswith(LOST) for word in words)
            if is_news and (process.listens or OF_INTEREST.intersection(words)):
                process.channel.append((running().name, tuple(words)))

    def reinitialize(self, *, quarantine: bool) -> bool:
        """Do as the script does: a server that was emptied, or started again, is a strange one."""
        is_strange = quarantine or self.vouched != self.run
        self.vouched = self.run
        self.quarantines += is_strange
        return super().reinitialize(quarantine=is_strange)

    def announce(self, *words: str) -> None:
        """See `Store.announce`."""
        self._publish(words)

    # --- what may happen to it ----------------------------------------------------------------------------------------
    def lose_intents(self) -> None:
        """Evict what is held."""
        self._intents.clear()

    def flush(self) -> None:
        """Lose everything."""
        self.vouched = 0
        self.load(((), (), ()))

    def saved(self) -> tuple[tuple[object, ...], ...]:
        """Return what it would hold if it were started again."""
        intents = {tag: dict(holders) for tag, holders in self._intents.items()}
        return tuple(self._entries.items()), tuple(self._versions.items()), tuple(intents.items())

    def load(self, saved: tuple[tuple[object, ...], ...]) -> None:
        """Hold what was saved, and nothing else."""
        kept = (self._entries, self._versions, self._intents, self._leases)
        for one, items in zip(kept, (*saved, ()), strict=True):
            one.clear()  # type: ignore[attr-defined]  # all are dicts
            one.update(items)  # type: ignore[attr-defined]

    def extend(self, seconds: float, is_alive: Callable[[bytes], bool]) -> None:
        """Keep what live writers hold for so much longer: their menders renew it."""
        for holders in self._intents.values():
            for write in filter(is_alive, holders):
                holders[write] += seconds

    # --- what is in it ------------------------------------------------------------------------------------------------
    def holders(self) -> set[bytes]:
        """Return the writes that hold a tag."""
        for tag in list(self._intents):
            self._state(tag)  # forgets who held it too long
        return {write for holders in self._intents.values() for write in holders}

    @property
    def is_quarantined(self) -> bool:
        """Whether nothing is believed for a moment."""
        return QUARANTINE in (self._state(GLOBAL_TAG) or b"")

    def contents(self) -> Hashable:
        """Return all that anybody can find here."""
        now = self._clock()
        return (
            tuple((tag, self._state(tag)) for tag in sorted({*self._versions, *self._intents})),
            tuple((name, self._valid(data)) for name, (data, _) in sorted(self._entries.items())),
            tuple(sorted(name for name, ends in self._leases.items() if name and ends > now)),
            (self.is_full, self.run, self.vouched),
        )

    def _valid(self, data: bytes) -> bytes:
        """Return an entry without its end; no more than that it is there when one of its versions is gone for good."""
        known, place = set(self._versions.values()), HEADER_SIZE
        while (version := data[place : place + VERSION_SIZE]).startswith(b"<") and place < len(data):
            if version not in known:
                return b""
            place += VERSION_SIZE
        return data[:1] + data[HEADER_SIZE:]


class Reached:
    """The server as one process reaches it. See `Store`.

    Args:
        server: it.
        process: which one.
        listener: told of the tags that this process announces.
        quiet: tags whose state never changes, so that asking for it is no step of its own.
        is_coarse: whether the commands of a pipeline are one step.
    """

    is_shared = False

    def __init__(
        self,
        server: Server,
        process: "Process",
        listener: OnTouch,
        quiet: frozenset[str],
        *,
        is_coarse: bool,
    ) -> None:
        self._is_coarse = is_coarse
        self._server = server
        self._process = process
        self._listener = listener
        self._quiet = quiet
        self._run = server.run

    def read(self, entries: Sequence[str], tags: Sequence[str]) -> tuple[States, States]:
        self._reach("MGET")
        if not self._server.vouched:
            note("emptied")
            raise StoreEmptied("emptied")
        found, states = self._server.read(entries, tags)
        note((tuple(found), tuple(states)))
        return found, states

    def claim_versions(self, tags: Sequence[str], lease: str, lease_ms: int) -> tuple[States, bool]:
        states: States = []
        if self._is_coarse:
            self._reach("SET NX", needs_room=True)
        for tag in tags:
            if tag not in self._quiet and not self._is_coarse:
                self._reach(f"SET NX {tag}", needs_room=True)
            states += self._server.claim_versions([tag], "", 0)[0]
            if tag not in self._quiet:
                note(states[-1])
        # With the last tag: a lease decides nothing but who waits for whom.
        _, is_ours = self._server.claim_versions([], lease, lease_ms)
        note(is_ours)
        return states, is_ours

    def fill(self, entries: Sequence[tuple[str, bytes, int]], lease: str) -> None:
        for entry in entries:
            self._reach("SET", needs_room=True)
            self._server.fill([entry], "")
        self._server.fill([], lease)

    def begin(self, write: bytes, tags: Sequence[str]) -> None:
        self._reach(f"begin {' '.join(tags)}")
        self._changes(tags)
        self._server.begin(write, tags)
        self._listener(tags)

    def end(self, write: bytes, tags: Sequence[str]) -> None:
        self._reach("end")
        self._server.end(write, tags)

    def touch(self, tags: Sequence[str]) -> None:
        self._reach(f"touch {' '.join(tags)}")
        self._changes(tags)
        self._server.touch(tags)
        self._listener(tags)

    def put(self, entry: str, head: bytes, payload: bytes, tags: Sequence[str], ttl_ms: int) -> None:
        self._reach("put", needs_room=True)
        self._server.put(entry, head, payload, tags, ttl_ms)
        self._listener(tags[:1])

    def reinitialize(self, *, quarantine: bool) -> bool:
        self._reach("restore")
        is_strange = self._server.reinitialize(quarantine=quarantine)
        note(is_strange)
        return is_strange

    def check_writable(self) -> None:
        if self._process.role:  # else it is never cut off
            self._reach("probe")

    def remove(self, pattern: str) -> int:
        self._reach("remove")
        return self._server.remove(pattern)

    def entry_names(self, pattern: str) -> Iterator[str]:
        return self._server.entry_names(pattern)

    def announce(self, *words: str) -> None:
        if self._server.subscribers != [self._process]:
            self._reach("announce")
        self._server.announce(*words)

    def subscribe(self) -> AbstractContextManager[Subscription]:
        raise NotImplementedError("the world delivers the messages")

    def verify_connection(self, connection: Any) -> bool:  # noqa: ARG002 - the interface's
        return False

    def release_idle(self) -> None:
        """There are no connections."""

    def _reach(self, what: str, *, needs_room: bool = False) -> None:
        step(what)
        if self._process.is_cut:
            note("down")
            raise StoreDown("cut off")
        if self._run != self._server.run:
            self._connect_anew()
            step(what)
        if needs_room and self._server.is_full:
            note("full")
            raise StoreFull("full")

    def _connect_anew(self) -> None:
        """Vouch for a server that was started again, as `connection.connected` does."""
        self._run = self._server.run
        if self._server.reinitialize(quarantine=False):
            self._process.service.on_store_replaced()

    def _changes(self, tags: Sequence[str]) -> None:
        assert not self._quiet.intersection(tags), f"the scenario takes these to be quiet: {tags}"
