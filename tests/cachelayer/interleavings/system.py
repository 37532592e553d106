"""One run of a scenario: processes that share a server and a database, the actors in each process, and the events.

Versions, write ids and values are called tokens; each is 16 characters long and in angle brackets. Two states that
differ only in tokens count as one state (`System.state`), because no code looks inside a token.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

from cachelayer.background.recovery import INTERVAL
from cachelayer.runtime.circuit_breaker import TRUST_S
from cachelayer.runtime.runtime import runtime
from cachelayer.stores.base import INTENT_S, QUARANTINE
from tests.cachelayer.interleavings.actions import InstanceFetchManager, Read
from tests.cachelayer.interleavings.background import BackgroundActor
from tests.cachelayer.interleavings.database import Changes, FakeConnection, FakeDatabase, Key
from tests.cachelayer.interleavings.oracle import Commit, Oracle, StaleRead
from tests.cachelayer.interleavings.process import SUBSCRIBED, Process
from tests.cachelayer.interleavings.scheduler import Actor, Event, Scheduler, running_actor, step
from tests.cachelayer.interleavings.server import Server

TOKEN = re.compile(r"<.{14}>")
CLOCK_STEP = 1e-6  # seconds between two readings of the clock, so that no two readings are equal
MARGIN = 0.5  # seconds added to a time limit, so that the limit has surely passed


class LeakedIntent(AssertionError):
    """All actors have finished, but the store still holds a write intent."""


class System(Scheduler):
    """One run of a scenario.

    Args:
        rows: the initial rows of the database, by primary key.
        untouched_tags: tags that no write touches in this scenario.
        atomic_pipelines: whether all commands of a pipeline are one step.

    Attributes:
        oldest_allowed: by reader name, the oldest commit that the current read may return; None between reads.
        sleeping: the names of the actors that sleep.
        hits: the number of lookups that the store answered.
        must_release_intents: whether it is an error if the store still holds a write intent at the end of the run.
    """

    def __init__(self, rows: dict[Key, str], untouched_tags: Sequence[str], *, atomic_pipelines: bool = False) -> None:
        super().__init__()
        self.time = 1000.0
        self._tokens = 0
        self.server = Server(runtime.namespaces, lambda: self.time, self.new_token)
        self.server.claim_versions(untouched_tags, "", 0)
        self.untouched_tags = frozenset(untouched_tags)
        self.atomic_pipelines = atomic_pipelines
        self.database = FakeDatabase(rows)
        self.database.on_commit = self._on_commit
        self.oracle = Oracle(rows)
        self.processes: list[Process] = []
        self.backgrounds: dict[str, BackgroundActor] = {}
        self._recovery_waits = 0  # how often a recovery thread has begun to wait until it may use the store
        self._seconds_passed = 0
        self.oldest_allowed: dict[str, int | None] = {}
        self.writers: dict[bytes, Actor] = {}  # the actor that writes, by write id
        self.sleeping: set[str] = set()
        self.past_events: set[str] = set()  # names of the one-time events that have happened
        self.hits = 0
        self.must_release_intents = True
        self.add_event("a second passes", self._can_second_pass, self._pass_second)

    def new_token(self) -> bytes:
        """Return a new version or write id."""
        self._tokens += 1
        return b"<%014d>" % self._tokens

    def new_write_id(self) -> bytes:
        """Return a new write id, and register the running actor as the writer."""
        write = self.new_token()
        self.writers[write] = running_actor()
        return write

    def clock(self) -> float:
        """Return the simulated time in seconds; each call returns a later time."""
        self.time += CLOCK_STEP
        return self.time

    # --- processes and actors -----------------------------------------------------------------------------------------
    def add_process(self, name: str, *, uses_local_cache: bool = False) -> Process:
        """Add a process that may crash at any step while it holds row locks or write intents."""
        process = self._make_process(name, uses_local_cache=uses_local_cache)
        self.processes.append(process)
        if uses_local_cache:
            self._deliver_messages(process)
        self.add_event(f"{name} crashes", lambda: self._holds_locks(process), lambda: self._crash(process))
        self.add_event(
            f"{name} crashes, and its intents expire",
            lambda: self._holds_intents(process),
            lambda: self._crash_and_expire(process),
        )
        return process

    def _make_process(self, name: str, *, uses_local_cache: bool) -> Process:
        return Process(
            name,
            self.server,
            runtime.namespaces,
            self.untouched_tags,
            uses_local_cache=uses_local_cache,
            atomic_pipelines=self.atomic_pipelines,
        )

    def _deliver_messages(self, process: Process) -> None:
        self.add_event(
            f"{process.name} receives a message",
            lambda: bool(process.channel) and not process.is_dead,
            process.receive_message,
        )

    def add_writer(
        self, name: str, process: Process, write: Callable[[str], object], *, keeps_snapshot: bool = False
    ) -> None:
        """Add an actor that writes one value, which no other actor writes."""
        self.database.writers += 1
        value = f"<value of {name:6}>"
        connection = FakeConnection(self.database, keeps_snapshot=keeps_snapshot)

        def run() -> None:
            if process.is_concurrent:
                step("start")
            write(value)

        self.add(Actor(name, write.__name__, process, connection, run))

    def add_reader(self, name: str, process: Process, *reads: Read) -> None:
        """Add an actor that performs the given reads, one after the other."""
        manager = InstanceFetchManager(process.runtime)
        role = " ".join(read.name for read in reads)
        self.oldest_allowed[name] = None
        connection = FakeConnection(self.database)
        self.add(Actor(name, role, process, connection, lambda: self._read(manager, process, reads)))

    def add_background(self, name: str, process: Process) -> None:
        """Add the background work of a process as an actor, and subscribe the process to invalidations."""
        process.is_concurrent = True
        if process not in self.server.subscribers:
            self.server.subscribers.append(process)
            self._deliver_messages(process)
        background = self.backgrounds[name] = BackgroundActor(
            process, lambda: self.time, self._epoch, self._has_outbox_rows
        )
        self.add(Actor(name, "background", process, FakeConnection(self.database), background.run))

    def _epoch(self) -> int:
        return self.server.quarantines + self._recovery_waits + self._seconds_passed

    def _has_outbox_rows(self) -> bool:
        return any(isinstance(key, tuple) for key in self.database.rows)

    def _read(self, manager: InstanceFetchManager, process: Process, reads: Sequence[Read]) -> None:
        """Perform the reads of one actor; check that no result is stale.

        Raises:
            StaleRead: a read returned a value that was replaced before the read started.
        """
        actor = running_actor()
        for number, read in enumerate(reads):
            actor.observations[:] = [number]
            self.oldest_allowed[actor.name] = None
            if process.is_concurrent:
                step("local lookup")
            oldest_locally, steps_before = self.oracle.oldest_allowed_locally(process), actor.steps
            values = read.run(manager)
            oldest = cast("int", self.oldest_allowed[actor.name])
            if process.uses_local_cache and actor.steps == steps_before:  # a local cache hit takes no step
                oldest = oldest_locally
            allowed = [read.expected(rows) for rows in self.oracle.allowed_rows(oldest)]
            if any(value not in choices for value, choices in zip(values, zip(*allowed, strict=True), strict=True)):
                raise StaleRead(f"{actor.name}: {read.name} returned {' '.join(values)}")

    # --- events -------------------------------------------------------------------------------------------------------
    def add_event(self, name: str, is_enabled: Callable[[], bool], apply: Callable[[], object]) -> None:
        """Add an event that may happen whenever `is_enabled` returns True."""
        self.events[name] = Event(is_enabled, apply)

    def add_single_event(
        self, name: str, apply: Callable[[], object], is_enabled: Callable[[], bool] = lambda: True
    ) -> None:
        """Add an event that happens at most once."""

        def apply_once() -> None:
            self.past_events.add(name)
            apply()

        self.add_event(name, lambda: name not in self.past_events and is_enabled(), apply_once)

    def warm_up(self, read: Read) -> None:
        """Fill the store with the cache entries of one read before the run starts."""
        self.add_reader("warm", self._make_process("warm", uses_local_cache=False), read)
        while not self.actors["warm"].is_finished:
            self.take("warm")
        del self.actors["warm"], self.oldest_allowed["warm"]
        self.log.clear()

    def cut_off(self, *processes: Process, forever: bool = False) -> None:
        """Cut processes off from the store at any step; reconnect them later, unless `forever` is set."""
        self.database.uses_outbox = True
        for process in processes:
            process.is_concurrent = process.can_be_cut_off = True

        def set_cut_off(*, is_cut_off: bool) -> None:
            for process in processes:
                process.is_cut_off = is_cut_off

        self.add_single_event("the store becomes unreachable", lambda: set_cut_off(is_cut_off=True))
        if not forever:
            self.add_single_event(
                "the store becomes reachable",
                lambda: set_cut_off(is_cut_off=False),
                lambda: processes[0].is_cut_off,
            )

    def refuse_writes(self) -> None:
        """Let the store answer only reads from some step on; no process trusts it longer than without a write."""
        self.database.uses_outbox = True
        for process in self.processes:
            process.runtime.breaker.start(trusted_until=self.time + TRUST_S)
            process.runtime.breaker.has_heartbeat = True

        def refuse() -> None:
            self.server.refuses_writes = True

        self.add_single_event("the store accepts no writes any more", refuse)

    def sleep(self, seconds: float) -> None:
        """Let the running actor take its next step when some time has passed."""
        until, name = self.time + seconds, running_actor().name
        self.sleeping.add(name)
        step("sleep", lambda: self.time >= until)
        self.sleeping.discard(name)

    def fill_up(self) -> None:
        """Let the store be full for some time."""

        def set_full(*, is_full: bool) -> None:
            self.server.is_full = is_full

        self.add_single_event("the store becomes full", lambda: set_full(is_full=True))
        self.add_single_event("the store has room", lambda: set_full(is_full=False), lambda: self.server.is_full)

    def lose_intents(self) -> None:
        """Let the store evict all write intents once."""

        def lose() -> None:
            self.oracle.lost_writers |= {self.writers[write].name for write in self.server.intent_holders()}
            self.server.lose_intents()

        self.add_single_event("the store loses intents", lose, lambda: bool(self.server.intent_holders()))

    def flush(self) -> None:
        """Let the store be emptied once."""
        self.add_single_event("the store is emptied", self.server.flush)

    def restart(self) -> None:
        """Let the store save a snapshot, and later restart from the snapshot."""
        snapshots: list[Any] = []

        def start() -> None:
            self.server.run_id += 1
            self.server.restore(snapshots[0])
            for process in self.server.subscribers:
                process.channel.clear()
                process.channel.append(("", (SUBSCRIBED,)))

        self.add_single_event("the store saves a snapshot", lambda: snapshots.append(self.server.snapshot()))
        self.add_single_event("the store restarts", start, lambda: bool(snapshots))

    def lose_channel(self, process: Process) -> None:
        """Let a process lose its invalidation channel, and subscribe again as `InvalidationSubscriber` does."""

        def lose() -> None:
            process.channel.clear()
            self.server.subscribers.remove(process)
            process.local.invalidate_all()

        def subscribe() -> None:
            self.server.subscribers.append(process)
            process.channel.append(("", (SUBSCRIBED,)))

        self.add_single_event("the channel is lost", lose)
        self.add_single_event("the channel is back", subscribe, lambda: process not in self.server.subscribers)

    def _on_commit(self, changes: Changes) -> None:
        outbox_rows = {key: value for key, value in changes.items() if isinstance(key, tuple)}
        if None in outbox_rows.values():
            self.oracle.record_drain()
        if len(outbox_rows) < len(changes):
            rows: dict[Key, str] = {key: value for key, value in self.database.rows.items() if isinstance(key, int)}
            self.oracle.record_commit(Commit(rows, running_actor(), is_in_outbox=bool(outbox_rows)))

    def _holds_locks(self, process: Process) -> bool:
        return any(actor.connection in self.database.locks.values() for actor in self._actors_of(process))

    def _holds_intents(self, process: Process) -> bool:
        return any(self.writers[write].process is process for write in self.server.intent_holders() - {QUARANTINE})

    def _actors_of(self, process: Process) -> list[Actor]:
        return [actor for actor in self.actors.values() if actor.process is process]

    def _crash(self, process: Process) -> None:
        process.is_dead = True
        for actor in self._actors_of(process):
            actor.connection.discard()

    def _crash_and_expire(self, process: Process) -> None:
        self._crash(process)
        self._pass_time(INTENT_S)

    def _pass_time(self, seconds: float) -> None:
        """Advance the clock, and renew the write intents of live processes as their heartbeats would."""
        self.server.renew_intents(
            seconds + MARGIN, lambda write: write != QUARANTINE and not self.writers[write].process.is_dead
        )
        self.time += seconds + MARGIN

    def _pass_second(self) -> None:
        self._seconds_passed += 1
        self._pass_time(INTERVAL)

    def _can_second_pass(self) -> bool:
        """Tell whether some actor waits for time to pass, and all background threads have run since the last second."""
        is_awaited = self.server.is_quarantined or any(actor.is_waiting for actor in self.backgrounds.values())
        return (is_awaited or bool(self.sleeping)) and all(actor.has_caught_up() for actor in self.backgrounds.values())

    # --- the schedule -------------------------------------------------------------------------------------------------
    def choices(self) -> Iterator[str]:
        if not self._is_finished():
            yield from super().choices()

    def _is_finished(self) -> bool:
        """Tell whether the run can end, because no check can fail any more."""
        are_readers_finished = all(self.actors[name].is_finished for name in self.oldest_allowed)
        checks_intents = self.must_release_intents and not any(process.is_dead for process in self.processes)
        return are_readers_finished and not checks_intents

    def take(self, choice: str) -> None:
        if choice in self.oldest_allowed and self.oldest_allowed[choice] is None:
            self.oldest_allowed[choice] = self.oracle.oldest_allowed(self.actors[choice].process)
        waiting = {name for name, actor in self.backgrounds.items() if actor.reachable_since is not None}
        super().take(choice)
        self._recovery_waits += sum(
            actor.reachable_since is not None and name not in waiting for name, actor in self.backgrounds.items()
        )
        for process in self.processes:
            process.has_degraded |= not process.runtime.breaker.is_closed
        if self.must_release_intents and self._is_settled() and self.server.intent_holders():
            raise LeakedIntent(f"of {[self.writers[write].name for write in self.server.intent_holders()]}")

    def _is_settled(self) -> bool:
        """Tell whether all actors have finished their work, no process crashed, and no outage or quarantine lasts."""
        return (
            not any(process.is_dead or process.is_cut_off for process in self.processes)
            and all(
                actor.is_finished or (name in self.backgrounds and not actor.is_enabled())
                for name, actor in self.actors.items()
            )
            and not self.server.is_quarantined
        )

    # --- the state ----------------------------------------------------------------------------------------------------
    def state(self) -> str:
        """Return all data that determines how the run may go on, with interchangeable processes and actors sorted."""
        alive = [process for process in self.processes if not process.is_dead]
        reading = [
            oldest
            for name, oldest in self.oldest_allowed.items()
            if oldest is not None and not self.actors[name].is_finished
        ]
        local = [self.oracle.oldest_allowed_locally(process) for process in alive if process.uses_local_cache]
        first = min([*reading, *local, *map(self.oracle.oldest_allowed, alive), len(self.oracle.commits) - 1])
        commits = self.oracle.commits[first:]
        return repr(
            (
                sorted((self._state_of_process(process, first) for process in alive), key=without_tokens),
                [(commit.rows, commit.is_in_outbox) for commit in commits],
                self.database.rows,
                self.server.state(),
                sorted(self.past_events),
            )
        )

    def _state_of_process(self, process: Process, first: int) -> str:
        actors = [actor for actor in self._actors_of(process) if not actor.is_finished]
        return repr(
            (
                sorted((self._state_of_actor(actor, first) for actor in actors), key=without_tokens),
                process.state(),
                [actor.state() for actor in self.backgrounds.values() if actor.process is process],
                process.runtime.retry_writes_at > self.time,
                process.runtime.breaker.trusted_until > self.time,
                process.runtime.breaker.writes_fail_since is None,
                self.oracle.oldest_allowed(process) - first,
                process.uses_local_cache and self.oracle.oldest_allowed_locally(process) - first,
            )
        )

    def _state_of_actor(self, actor: Actor, first: int) -> str:
        oldest = self.oldest_allowed.get(actor.name)
        written = [commit.writer is actor for commit in self.oracle.commits[first:]]
        locked = [key for key, owner in self.database.locks.items() if owner is actor.connection]
        return repr(
            (
                actor.state(),
                None if oldest is None else oldest - first,
                written,
                locked,
                actor.name in self.oracle.lost_writers,
            )
        )


def without_tokens(state: str) -> str:
    """Return a state without tokens, as the sort key for interchangeable processes and actors."""
    return TOKEN.sub("", state)
