"""One run of a scenario: processes on one server and one database, actors in them, and what may happen to them.

Names of versions, of writes and of values are in angle brackets and 16 characters long: two states that differ in
names only are one (`World.state`), for nothing in the code looks inside of them.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

from cachelayer.background.heartbeat import INTERVAL
from cachelayer.runtime.runtime import runtime
from cachelayer.stores.base import INTENT_S, QUARANTINE
from tests.cachelayer.interleavings import acts
from tests.cachelayer.interleavings.acts import Read
from tests.cachelayer.interleavings.database import Changes, Connection, Database, Key
from tests.cachelayer.interleavings.mending import Mending
from tests.cachelayer.interleavings.oracle import Commit, Oracle, Stale
from tests.cachelayer.interleavings.process import SUBSCRIBED, Process
from tests.cachelayer.interleavings.schedule import Actor, Happening, Schedule, running, step
from tests.cachelayer.interleavings.server import Server

NAME = re.compile(r"<.{14}>")
TICK = 1e-6  # seconds; what happens later has a later time
SPARE = 0.5  # seconds past a limit


class Held(AssertionError):
    """Everybody is done, and something is still held."""


class World(Schedule):
    """One run.

    Args:
        rows: what the database holds at first, by primary key.
        quiet: tags that nobody touches in this scenario.
    """

    def __init__(self, rows: dict[Key, str], quiet: Sequence[str], is_coarse: bool = False) -> None:  # noqa: FBT001, FBT002 - a scenario's
        super().__init__()
        self.time = 1000.0
        self._names = 0
        self.server = Server(runtime.namespaces, lambda: self.time, self.name)
        self.server.claim_versions(quiet, "", 0)
        self.quiet = frozenset(quiet)
        self.is_coarse = is_coarse
        self.database = Database(rows)
        self.database.on_commit = self._on_commit
        self.oracle = Oracle(rows)
        self.processes: list[Process] = []
        self.menders: dict[str, Mending] = {}
        self._waits = 0  # of menders, for two seconds
        self._seconds = 0
        self.floors: dict[str, int | None] = {}  # of readers
        self.writes: dict[bytes, Actor] = {}
        self.done: set[str] = set()  # of what happens once
        self.hits = 0
        self.must_settle = True  # whether nothing is held in the end
        self.happen("a second passes", self._can_a_second_pass, self._pass_a_second)

    def name(self) -> bytes:
        """Return a version or an id."""
        self._names += 1
        return b"<%014d>" % self._names

    def name_of_write(self) -> bytes:
        """Return the id of a write of the running actor's."""
        name = self.name()
        self.writes[name] = running()
        return name

    def clock(self) -> float:
        """Return the time, later each time."""
        self.time += TICK
        return self.time

    # --- the cast -----------------------------------------------------------------------------------------------------
    def process(self, name: str, *, listens: bool = False) -> Process:
        """Add a process; it has a local tier when it `listens`."""
        process = Process(name, self.server, runtime.namespaces, self.quiet, listens=listens, is_coarse=self.is_coarse)
        self.processes.append(process)
        if listens:
            self._let_hear(process)
        self.happen(f"{name} dies", lambda: self._is_locking(process), lambda: self._die(process))
        self.happen(f"{name} is dead for 30 s", lambda: self._is_holding(process), lambda: self._stay_dead(process))
        return process

    def _let_hear(self, process: Process) -> None:
        self.happen(f"{process.name} hears", lambda: bool(process.channel) and not process.is_dead, process.hear)

    def writer(self, name: str, process: Process, write: Callable[[str], object], *, snapshot: bool = False) -> None:
        """Add an actor who writes a value of its own."""
        self.database.writers += 1
        value = f"<value of {name:6}>"
        connection = Connection(self.database, keeps_snapshot=snapshot)

        def act() -> None:
            if process.is_busy:
                step("start")
            write(value)

        self.add(Actor(name, write.__name__, process, connection, act))

    def reader(self, name: str, process: Process, *reads: Read) -> None:
        """Add an actor who reads, once for each of `reads`."""
        rows = acts.Rows(process.service)
        role = " ".join(read.name for read in reads)
        self.floors[name] = None
        self.add(Actor(name, role, process, Connection(self.database), lambda: self._read(rows, process, reads)))

    def mender(self, name: str, process: Process) -> None:
        """Add what keeps a process in step."""
        process.is_busy = True
        if process not in self.server.subscribers:
            self.server.subscribers.append(process)
            self._let_hear(process)
        mending = self.menders[name] = Mending(process, lambda: self.time, self._epoch, self._has_outbox)
        self.add(Actor(name, "mend", process, Connection(self.database), mending.run))

    def _epoch(self) -> int:
        return self.server.quarantines + self._waits + self._seconds

    def _has_outbox(self) -> bool:
        return any(isinstance(key, tuple) for key in self.database.rows)

    def _read(self, rows: acts.Rows, process: Process, reads: Sequence[Read]) -> None:
        actor = running()
        for number, read in enumerate(reads):
            actor.seen[:] = [number]
            self.floors[actor.name] = None
            if process.is_busy:
                step("look")
            told, before = self.oracle.told(process), actor.steps
            value = read.act(rows)
            floor = cast("int", self.floors[actor.name])
            if process.listens and actor.steps == before:
                floor = told
            allowed = [read.says(rows) for rows in self.oracle.allows(floor)]
            if any(part not in parts for part, parts in zip(value, zip(*allowed, strict=True), strict=True)):
                raise Stale(f"{actor.name}: {read.name} returned {' '.join(value)}")

    # --- what happens -------------------------------------------------------------------------------------------------
    def happen(self, name: str, can: Callable[[], bool], act: Callable[[], object]) -> None:
        """Let something happen whenever it can."""
        self.happenings[name] = Happening(can, act)

    def happen_once(self, name: str, act: Callable[[], object], can: Callable[[], bool] = lambda: True) -> None:
        """Let something happen once."""

        def once() -> None:
            self.done.add(name)
            act()

        self.happen(name, lambda: name not in self.done and can(), once)

    def warm_up(self, read: Read) -> None:
        """Let the store hold what somebody has read before."""
        self.reader("warm", Process("warm", self.server, runtime.namespaces, self.quiet, listens=False), read)
        while not self.actors["warm"].is_over:
            self.take("warm")
        del self.actors["warm"], self.floors["warm"]
        self.log.clear()

    def cut(self, *processes: Process, for_good: bool = False) -> None:
        """Let processes lose their way to the store, and find it again unless it is `for_good`."""
        self.database.has_outbox = True
        for process in processes:
            process.is_busy, process.role = True, "cut"

        def turn(*, is_cut: bool) -> None:
            for process in processes:
                process.is_cut = is_cut

        self.happen_once("the store is away", lambda: turn(is_cut=True))
        if not for_good:
            self.happen_once("the store is back", lambda: turn(is_cut=False), lambda: processes[0].is_cut)

    def fill_up(self) -> None:
        """Let the store be full for a while."""
        self.happen_once("the store is full", lambda: setattr(self.server, "is_full", True))
        self.happen_once("there is room", lambda: setattr(self.server, "is_full", False), lambda: self.server.is_full)

    def lose_intents(self) -> None:
        """Let the store evict what is held."""

        def lose() -> None:
            self.oracle.lost |= {self.writes[write].name for write in self.server.holders()}
            self.server.lose_intents()

        self.happen_once("the store loses intents", lose, lambda: bool(self.server.holders()))

    def flush(self) -> None:
        """Let somebody empty the store."""
        self.happen_once("the store is emptied", self.server.flush)

    def restart(self) -> None:
        """Let the store be started again with what it has saved."""
        saved: list[Any] = []

        def start() -> None:
            self.server.run += 1
            self.server.load(saved[0])
            for process in self.server.subscribers:
                process.channel.clear()
                process.channel.append(("", (SUBSCRIBED,)))

        self.happen_once("the store saves", lambda: saved.append(self.server.saved()))
        self.happen_once("the store is started again", start, lambda: bool(saved))

    def lose_channel(self, process: Process) -> None:
        """Let a process lose its subscription and find it again, as its listener would."""

        def lose() -> None:
            process.channel.clear()
            self.server.subscribers.remove(process)
            process.local.invalidate_all()

        def find() -> None:
            self.server.subscribers.append(process)
            process.channel.append(("", (SUBSCRIBED,)))

        self.happen_once("the channel is lost", lose)
        self.happen_once("the channel is found", find, lambda: process not in self.server.subscribers)

    def _on_commit(self, changes: Changes) -> None:
        outboxed = {key: value for key, value in changes.items() if isinstance(key, tuple)}
        if None in outboxed.values():
            self.oracle.drained()
        if len(outboxed) < len(changes):
            rows: dict[Key, str] = {key: one for key, one in self.database.rows.items() if isinstance(key, int)}
            self.oracle.committed(Commit(rows, running(), is_outboxed=bool(outboxed)))

    def _is_locking(self, process: Process) -> bool:
        return any(actor.connection in self.database.locks.values() for actor in self._in(process))

    def _is_holding(self, process: Process) -> bool:
        return any(self.writes[write].process is process for write in self.server.holders() - {QUARANTINE})

    def _in(self, process: Process) -> list[Actor]:
        return [actor for actor in self.actors.values() if actor.process is process]

    def _die(self, process: Process) -> None:
        process.is_dead = True
        for actor in self._in(process):
            actor.connection.forget()

    def _stay_dead(self, process: Process) -> None:
        self._die(process)
        self._pass(INTENT_S)

    def _pass(self, seconds: float) -> None:
        """Let time pass, during which the menders of those who live renew what they hold."""
        self.server.extend(
            seconds + SPARE, lambda write: write != QUARANTINE and not self.writes[write].process.is_dead
        )
        self.time += seconds + SPARE

    def _pass_a_second(self) -> None:
        self._seconds += 1
        self._pass(INTERVAL)

    def _can_a_second_pass(self) -> bool:
        """Whether anybody waits for it, and every pulse and mender has been at work since the last began."""
        is_awaited = self.server.is_quarantined or any(mending.is_waiting for mending in self.menders.values())
        return is_awaited and all(mending.is_in_step() for mending in self.menders.values())

    # --- the schedule -------------------------------------------------------------------------------------------------
    def choices(self) -> Iterator[str]:
        if not self._is_over():
            yield from super().choices()

    def _is_over(self) -> bool:
        """Whether nothing can be seen any more."""
        are_readers_over = all(self.actors[name].is_over for name in self.floors)
        return are_readers_over and (not self.must_settle or any(process.is_dead for process in self.processes))

    def take(self, choice: str) -> None:
        if choice in self.floors and self.floors[choice] is None:
            self.floors[choice] = self.oracle.floor(self.actors[choice].process)
        waiting = {name for name, mending in self.menders.items() if mending.waits_since is not None}
        super().take(choice)
        self._waits += sum(m.waits_since is not None and name not in waiting for name, m in self.menders.items())
        for process in self.processes:
            process.has_failed |= not process.service.breaker.is_closed
        if self.must_settle and self._is_settled() and self.server.holders():
            raise Held(f"by {[self.writes[write].name for write in self.server.holders() - {QUARANTINE}]}")

    def _is_settled(self) -> bool:
        """Whether all that anybody had to do is done, and nobody died over it."""
        return (
            not any(process.is_dead or process.is_cut for process in self.processes)
            and all(actor.is_over or (name in self.menders and not actor.can()) for name, actor in self.actors.items())
            and not self.server.is_quarantined
        )

    # --- the state ----------------------------------------------------------------------------------------------------
    def state(self) -> str:
        """Return all that what follows depends on. Who is who among those that are alike does not matter."""
        alive = [process for process in self.processes if not process.is_dead]
        floors = [floor for name, floor in self.floors.items() if floor is not None and not self.actors[name].is_over]
        told = [self.oracle.told(process) for process in alive if process.listens]
        first = min([*floors, *told, *map(self.oracle.floor, alive), len(self.oracle.commits) - 1])
        commits = self.oracle.commits[first:]
        return repr(
            (
                sorted((self._state_of(process, first) for process in alive), key=nameless),
                [(commit.rows, commit.is_outboxed) for commit in commits],
                self.database.rows,
                self.server.contents(),
                sorted(self.done),
            )
        )

    def _state_of(self, process: Process, first: int) -> str:
        actors = [actor for actor in self._in(process) if not actor.is_over]
        return repr(
            (
                sorted((self._state_of_actor(actor, first) for actor in actors), key=nameless),
                process.contents(),
                [mending.contents() for mending in self.menders.values() if mending.process is process],
                process.service.retry_writes_at > self.time,
                self.oracle.floor(process) - first,
                process.listens and self.oracle.told(process) - first,
            )
        )

    def _state_of_actor(self, actor: Actor, first: int) -> str:
        floor = self.floors.get(actor.name)
        written = [commit.writer is actor for commit in self.oracle.commits[first:]]
        locked = [key for key, who in self.database.locks.items() if who is actor.connection]
        return repr(
            (actor.state(), None if floor is None else floor - first, written, locked, actor.name in self.oracle.lost)
        )


def nameless(state: str) -> str:
    """Return a state without names, by which those that are alike are put in order."""
    return NAME.sub("", state)
