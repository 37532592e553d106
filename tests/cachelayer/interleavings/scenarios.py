"""The scenarios of the model checker: each defines processes, their readers and writers, and the possible faults."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cachelayer.protocol.tags import GLOBAL_TAG
from cachelayer.runtime.runtime import runtime
from tests.cachelayer.interleavings import actions
from tests.cachelayer.interleavings.actions import (
    LIST_TAG,
    OTHER_PK,
    PK,
    Read,
    fetch,
    fetch_computed,
    fetch_list,
    fetch_many,
)
from tests.cachelayer.interleavings.database import Key
from tests.cachelayer.interleavings.fakes import CurrentSystem
from tests.cachelayer.interleavings.system import System

FIRST, SECOND = "<first row>     ", "<second row>    "
TWO_ROWS: dict[Key, str] = {PK: FIRST, OTHER_PK: SECOND}
INSERT_TAG, NAMESPACE_TAG = "instances:new", "instances"
OTHER_NAMESPACES = tuple(namespace.name for namespace in runtime.namespaces if namespace.name != NAMESPACE_TAG)

SetUp = Callable[[System], None]


@dataclass(frozen=True)
class Scenario:
    """A scenario that the model checker explores.

    Attributes:
        set_up: adds processes, actors and faults to a `System`.
        rows: the initial rows of the fake database.
        warm_up: a read that fills the store before the run starts; None to start with an empty store.
        touched_tags: further tags, beside those of rows, that a write may touch or the store may lose.
        polls: how often a reader polls while another process loads the value; with 0, readers do not wait.
        atomic_pipelines: whether all commands of a pipeline are one step.
        is_large: whether only some of the schedules are explored, unless EXPLORE=all is set.
    """

    set_up: SetUp
    rows: dict[Key, str] = field(default_factory=lambda: {PK: FIRST})
    warm_up: Read | None = None
    touched_tags: tuple[str, ...] = ()
    polls: int = 0
    atomic_pipelines: bool = False
    is_large: bool = False

    @property
    def name(self) -> str:
        """The name of the scenario: the name of its set-up function."""
        return self.set_up.__name__

    def make_system(self, current: CurrentSystem) -> System:
        """Return a new `System` in the initial state of the scenario."""
        untouched = {INSERT_TAG, NAMESPACE_TAG, GLOBAL_TAG, *OTHER_NAMESPACES}.difference(self.touched_tags)
        system = current.set(System(dict(self.rows), sorted(untouched), atomic_pipelines=self.atomic_pipelines))
        if self.warm_up is not None:
            system.warm_up(self.warm_up)
        self.set_up(system)
        return system


SCENARIOS: dict[str, Scenario] = {}


def scenario(**options: Any) -> Callable[[SetUp], SetUp]:
    """Register the decorated function as a scenario; the options set attributes of `Scenario`."""

    def register(set_up: SetUp) -> SetUp:
        SCENARIOS[set_up.__name__] = Scenario(set_up, **options)
        return set_up

    return register


# --- the shared store -------------------------------------------------------------------------------------------------
@scenario(is_large=True)
def two_writers_and_two_readers(system: System) -> None:
    """Four processes use one row that is not cached yet."""
    for number in (1, 2):
        system.add_writer(f"w{number}", system.add_process(f"W{number}"), actions.save)
        system.add_reader(f"r{number}", system.add_process(f"R{number}"), fetch)


@scenario(warm_up=fetch, is_large=True)
def two_writers_and_two_readers_of_a_cached_row(system: System) -> None:
    """Four processes use one row that is already cached."""
    for number in (1, 2):
        system.add_writer(f"w{number}", system.add_process(f"W{number}"), actions.save)
        system.add_reader(f"r{number}", system.add_process(f"R{number}"), fetch)


@scenario()
def two_transactions(system: System) -> None:
    """Two transactions write the same row, so that one transaction waits for the row lock of the other."""
    for number in (1, 2):
        system.add_writer(f"w{number}", system.add_process(f"W{number}"), actions.save_in_transaction)
    system.add_reader("r", system.add_process("R"), fetch, fetch)


@scenario(is_large=True)
def two_transactions_and_two_readers(system: System) -> None:
    """Two transactions write one row, and two other processes read the same row."""
    for number in (1, 2):
        system.add_writer(f"w{number}", system.add_process(f"W{number}"), actions.save_in_transaction)
        system.add_reader(f"r{number}", system.add_process(f"R{number}"), fetch)


@scenario(is_large=True)
def a_commit_and_a_rollback(system: System) -> None:
    """Two transactions write one row; one transaction commits and the other is rolled back."""
    system.add_writer("w", system.add_process("W"), actions.save_in_transaction)
    system.add_writer("q", system.add_process("Q"), actions.save_and_roll_back)
    system.add_reader("r", system.add_process("R"), fetch, fetch)


@scenario(is_large=True)
def a_savepoint_rollback(system: System) -> None:
    """Rolling back a savepoint does not end the write intents of the transaction around the savepoint."""
    system.add_writer("w", system.add_process("W"), actions.save_after_savepoint_rollback)
    system.add_writer("v", system.add_process("V"), actions.save)
    system.add_reader("r", system.add_process("R"), fetch, fetch)


@scenario(warm_up=fetch, touched_tags=(NAMESPACE_TAG,))
def a_bulk_update(system: System) -> None:
    """A bulk update touches the tag of the whole namespace, because the changed rows are not known."""
    system.add_writer("u", system.add_process("U"), actions.bulk_update)
    system.add_writer("w", system.add_process("W"), actions.save)
    system.add_reader("r", system.add_process("R"), fetch, fetch)


@scenario(rows={}, touched_tags=(INSERT_TAG,), is_large=True)
def an_insert(system: System) -> None:
    """Inserting a row invalidates the cache entry that says that the row does not exist."""
    system.add_writer("w", system.add_process("W"), actions.insert)
    system.add_reader("r1", system.add_process("R1"), fetch, fetch)
    system.add_reader("r2", system.add_process("R2"), fetch)


@scenario(rows=TWO_ROWS)
def a_cached_list(system: System) -> None:
    """Saving any row of a cached list invalidates the list."""
    system.add_writer("w", system.add_process("W"), actions.save)
    system.add_writer("v", system.add_process("V"), actions.save_other_row)
    system.add_reader("r", system.add_process("R"), fetch_list, fetch_list)


@scenario(rows=TWO_ROWS, is_large=True)
def a_fetch_of_many_rows(system: System) -> None:
    """Each row that `fetch_many` returns is checked separately, because the rows may be read at different moments."""
    system.add_writer("w", system.add_process("W"), actions.save)
    system.add_writer("v", system.add_process("V"), actions.save_other_row)
    system.add_reader("r", system.add_process("R"), fetch_many, fetch_many)


@scenario(rows=TWO_ROWS, touched_tags=(NAMESPACE_TAG,), is_large=True)
def fetches_of_many_rows_and_a_bulk_update(system: System) -> None:
    """Two processes fetch two rows, while one writer saves one of the rows and another updates both in bulk."""
    system.add_writer("w", system.add_process("W"), actions.save)
    system.add_writer("u", system.add_process("U"), actions.bulk_update)
    system.add_reader("r1", system.add_process("R1"), fetch_many)
    system.add_reader("r2", system.add_process("R2"), fetch_many)


@scenario()
def a_read_in_a_snapshot(system: System) -> None:
    """A transaction that reads from a snapshot must not cache rows, because the snapshot may be outdated."""
    system.add_writer("w", system.add_process("W"), actions.save)
    system.add_writer("t", system.add_process("T"), actions.read_in_transaction, keeps_snapshot=True)
    system.add_reader("r", system.add_process("R"), fetch, fetch)


@scenario(warm_up=fetch)
def a_write_in_sql(system: System) -> None:
    """A process touches the tags of a row, and then writes the row without the ORM."""
    system.add_writer("w", system.add_process("W"), actions.write_sql)
    system.add_writer("v", system.add_process("V"), actions.save)
    system.add_reader("r", system.add_process("R"), fetch, fetch)


@scenario(polls=1)
def a_lease(system: System) -> None:
    """A reader waits while another reader, which holds the lease of the entry, loads the value."""
    system.add_writer("w", system.add_process("W"), actions.save)
    system.add_reader("r1", system.add_process("R1"), fetch)
    system.add_reader("r2", system.add_process("R2"), fetch)


# --- the local cache --------------------------------------------------------------------------------------------------
@scenario()
def a_local_cache_and_a_writer_in_another_process(system: System) -> None:
    """One process keeps a row in its local cache; another process changes the row."""
    system.add_reader("r", system.add_process("R", uses_local_cache=True), fetch, fetch, fetch)
    system.add_writer("w", system.add_process("W"), actions.save)


@scenario(is_large=True)
def a_value_computed_from_a_local_entry(system: System) -> None:
    """A process computes a cached value from a cached row; the value must not keep an old row of the local cache."""
    system.add_reader("r", system.add_process("R", uses_local_cache=True), fetch, fetch_computed)
    system.add_writer("w", system.add_process("W"), actions.save)
    system.add_reader("s", system.add_process("S"), fetch_computed)


@scenario(is_large=True)
def a_local_cache_and_two_writers_in_other_processes(system: System) -> None:
    """One process keeps a row in its local cache; two other processes change the row."""
    system.add_reader("r", system.add_process("R", uses_local_cache=True), fetch, fetch, fetch)
    for number in (1, 2):
        system.add_writer(f"w{number}", system.add_process(f"W{number}"), actions.save)


@scenario(is_large=True)
def threads_of_one_process(system: System) -> None:
    """Two readers share a local cache with a writer thread; a reader waits while the other reader loads the row."""
    process = system.add_process("A", uses_local_cache=True)
    system.add_writer("w", process, actions.save)
    for number in (1, 2):
        system.add_reader(f"r{number}", process, fetch, fetch)


@scenario(is_large=True)
def two_processes_that_read_and_write(system: System) -> None:
    """Two processes with local caches both read and write a row."""
    for number in (1, 2):
        process = system.add_process(f"A{number}", uses_local_cache=True)
        system.add_writer(f"w{number}", process, actions.save)
        system.add_reader(f"r{number}", process, fetch)


@scenario(is_large=True)
def a_lost_channel(system: System) -> None:
    """A process misses the invalidation messages that are published while its subscription is lost."""
    process = system.add_process("R", uses_local_cache=True)
    system.add_reader("r", process, fetch, fetch, fetch)
    system.add_writer("w", system.add_process("W"), actions.save)
    system.lose_channel(process)


# --- faults -----------------------------------------------------------------------------------------------------------
@scenario(warm_up=fetch, is_large=True)
def an_outage_of_one_process(system: System) -> None:
    """A process that reads and writes cannot reach the store for some time."""
    process = system.add_process("A")
    system.cut_off(process)
    system.add_background("m", process)
    system.add_writer("w", process, actions.save)
    system.add_reader("r", process, fetch, fetch)


@scenario(warm_up=fetch)
def an_outage_of_the_writing_process(system: System) -> None:
    """The writing process cannot reach the store any more, but another process can, and drains the outbox."""
    writing, reading = system.add_process("A"), system.add_process("B")
    system.cut_off(writing, forever=True)
    system.add_writer("w", writing, actions.save)
    system.add_background("n", reading)
    system.add_reader("s", reading, fetch, fetch)
    system.must_release_intents = False  # intents of the cut-off process stay in the store until they expire


@scenario(warm_up=fetch, is_large=True)
def an_outage_of_all_processes(system: System) -> None:
    """Two processes cannot reach the store for some time, and one process recovers before the other."""
    writing, reading = system.add_process("A"), system.add_process("B")
    system.cut_off(writing, reading)
    system.add_background("m", writing)
    system.add_writer("w", writing, actions.save_in_transaction)
    system.add_background("n", reading)
    system.add_reader("s", reading, fetch, fetch)


@scenario(warm_up=fetch, is_large=True)
def a_store_that_answers_only_reads(system: System) -> None:
    """The store accepts no writes any more, and answers the reads of other processes as before."""
    system.add_writer("w", system.add_process("W"), actions.save_in_transaction)
    system.add_writer("v", system.add_process("V"), actions.save)
    system.add_reader("r", system.add_process("R"), fetch, fetch, fetch)
    system.refuse_writes()
    system.must_release_intents = False  # intents stay in the store until they expire


@scenario()
def a_full_store(system: System) -> None:
    """A full store rejects new cache entries, but accepts write intents."""
    process = system.add_process("R", uses_local_cache=True)
    system.add_writer("w", system.add_process("W"), actions.save)
    system.add_reader("r1", process, fetch, fetch)
    system.fill_up()


@scenario(is_large=True)
def a_lost_intent(system: System) -> None:
    """If the store loses a write intent, reads may be stale between the commit and the `end` of the write."""
    for number in (1, 2):
        system.add_writer(f"w{number}", system.add_process(f"W{number}"), actions.save)
    system.add_reader("r", system.add_process("R"), fetch, fetch, fetch)
    system.lose_intents()


@scenario(touched_tags=(NAMESPACE_TAG, GLOBAL_TAG, INSERT_TAG, LIST_TAG), atomic_pipelines=True, is_large=True)
def an_emptied_store(system: System) -> None:
    """The store is emptied and so loses all write intents; each process detects the loss."""
    writing, reading = system.add_process("A"), system.add_process("B")
    system.add_writer("w", writing, actions.save)
    system.add_background("m", writing)
    system.add_reader("r", reading, fetch, fetch)
    system.flush()


@scenario(touched_tags=(NAMESPACE_TAG, GLOBAL_TAG, INSERT_TAG, LIST_TAG), atomic_pipelines=True, is_large=True)
def a_restarted_store(system: System) -> None:
    """After a restart, the store holds the outdated contents of its last snapshot."""
    writing, reading = system.add_process("A"), system.add_process("B")
    system.add_writer("w", writing, actions.save)
    system.add_background("m", writing)
    system.add_reader("r", reading, fetch, fetch)
    system.restart()
    system.must_release_intents = False
