"""The casts: who is there, and what may happen to them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cachelayer.protocol.tags import GLOBAL_TAG
from cachelayer.runtime.runtime import runtime
from tests.cachelayer.interleavings import acts
from tests.cachelayer.interleavings.acts import fetch, fetch_list, fetch_many
from tests.cachelayer.interleavings.database import Key
from tests.cachelayer.interleavings.doubles import Stage
from tests.cachelayer.interleavings.world import World

FIRST, SECOND = "<first row>     ", "<second row>    "
ROW, BIRTHS, LIST, NAMESPACE = "instance:1", "instances:new", acts.LIST, "instances"
OTHERS = tuple(namespace.name for namespace in runtime.namespaces if namespace.name != NAMESPACE)


@dataclass(frozen=True)
class Scenario:
    """A cast.

    Attributes:
        cast: puts it into a world.
        rows: what the database holds at first.
        warm: what the store holds already, as a read that has been made.
        noisy: tags that somebody touches, or that may get lost, beside rows' own.
        polls: see `doubles`.
        coarse: whether a pipeline is one step.
        is_large: whether it is explored in part, unless all is asked for.
    """

    cast: Callable[[World], object]
    rows: dict[Key, str] = field(default_factory=lambda: {acts.PK: FIRST})
    warm: acts.Read | None = None
    noisy: tuple[str, ...] = ()
    polls: int = 0
    coarse: bool = False
    is_large: bool = False

    @property
    def name(self) -> str:
        """Its name."""
        return self.cast.__name__

    def make(self, stage: Stage) -> World:
        """Make its world."""
        quiet = {BIRTHS, NAMESPACE, GLOBAL_TAG, *OTHERS}.difference(self.noisy)
        world = stage.use(World(dict(self.rows), sorted(quiet), self.coarse))
        if self.warm is not None:
            world.warm_up(self.warm)
        self.cast(world)
        return world


SCENARIOS: dict[str, Scenario] = {}


Cast = Callable[[World], None]


def scenario(**options: Any) -> Callable[[Cast], Cast]:
    """Make a cast a scenario."""

    def add(cast: Cast) -> Cast:
        SCENARIOS[cast.__name__] = Scenario(cast, **options)
        return cast

    return add


# --- the shared tier --------------------------------------------------------------------------------------------------
@scenario()
def two_writers_two_readers(world: World) -> None:
    """Each of a process of its own, and nothing is cached yet."""
    for number in (1, 2):
        world.writer(f"w{number}", world.process(f"W{number}"), acts.save)
        world.reader(f"r{number}", world.process(f"R{number}"), fetch)


@scenario(warm=fetch)
def two_writers_two_readers_warm(world: World) -> None:
    """Each of a process of its own, and nothing is cached yet."""
    for number in (1, 2):
        world.writer(f"w{number}", world.process(f"W{number}"), acts.save)
        world.reader(f"r{number}", world.process(f"R{number}"), fetch)


@scenario()
def two_transactions(world: World) -> None:
    """They wait for each other's lock."""
    for number in (1, 2):
        world.writer(f"w{number}", world.process(f"W{number}"), acts.commit)
    world.reader("r", world.process("R"), fetch, fetch)


@scenario(is_large=True)
def two_transactions_two_readers(world: World) -> None:
    """The same, and more of it."""
    for number in (1, 2):
        world.writer(f"w{number}", world.process(f"W{number}"), acts.commit)
        world.reader(f"r{number}", world.process(f"R{number}"), fetch)


@scenario()
def a_commit_and_a_rollback(world: World) -> None:
    """One is rolled back."""
    world.writer("w", world.process("W"), acts.commit)
    world.writer("q", world.process("Q"), acts.roll_back)
    world.reader("r", world.process("R"), fetch, fetch)


@scenario()
def a_savepoint(world: World) -> None:
    """What is rolled back in it takes no end with it."""
    world.writer("w", world.process("W"), acts.roll_back_a_part)
    world.writer("v", world.process("V"), acts.save)
    world.reader("r", world.process("R"), fetch, fetch)


@scenario(warm=fetch, noisy=(NAMESPACE,))
def a_bulk_write(world: World) -> None:
    """Who writes in bulk does not know which rows there are."""
    world.writer("u", world.process("U"), acts.update)
    world.writer("w", world.process("W"), acts.save)
    world.reader("r", world.process("R"), fetch, fetch)


@scenario(rows={}, noisy=(BIRTHS,))
def a_birth(world: World) -> None:
    """A known absence ends with it."""
    world.writer("w", world.process("W"), acts.insert)
    world.reader("r1", world.process("R1"), fetch, fetch)
    world.reader("r2", world.process("R2"), fetch)


@scenario(rows={acts.PK: FIRST, 2: SECOND}, noisy=())
def a_list(world: World) -> None:
    """It changes with each of its rows."""
    world.writer("w", world.process("W"), acts.save)
    world.writer("v", world.process("V"), acts.save_another)
    world.reader("r", world.process("R"), fetch_list, fetch_list)


@scenario(rows={acts.PK: FIRST, 2: SECOND})
def many_rows(world: World) -> None:
    """Each of them is of a moment of its own."""
    world.writer("w", world.process("W"), acts.save)
    world.writer("v", world.process("V"), acts.save_another)
    world.reader("r", world.process("R"), fetch_many, fetch_many)


@scenario(rows={acts.PK: FIRST, 2: SECOND}, noisy=(NAMESPACE,), is_large=True)
def many_rows_and_a_bulk_write(world: World) -> None:
    """The same, with two readers."""
    world.writer("w", world.process("W"), acts.save)
    world.writer("u", world.process("U"), acts.update)
    world.reader("r1", world.process("R1"), fetch_many)
    world.reader("r2", world.process("R2"), fetch_many)


@scenario()
def a_snapshot(world: World) -> None:
    """Who reads in a transaction may see what is not true any more, and keeps none of it."""
    world.writer("w", world.process("W"), acts.save)
    world.writer("t", world.process("T"), acts.read_in_a_transaction, snapshot=True)
    world.reader("r", world.process("R"), fetch, fetch)


@scenario(warm=fetch)
def sql(world: World) -> None:
    """Past the ORM, and announced."""
    world.writer("w", world.process("W"), acts.touch)
    world.writer("v", world.process("V"), acts.save)
    world.reader("r", world.process("R"), fetch, fetch)


@scenario(polls=1)
def a_lease(world: World) -> None:
    """Readers wait for one another's loads."""
    world.writer("w", world.process("W"), acts.save)
    world.reader("r1", world.process("R1"), fetch)
    world.reader("r2", world.process("R2"), fetch)


# --- the local tier ---------------------------------------------------------------------------------------------------
@scenario()
def another_process(world: World) -> None:
    """A process keeps what others change."""
    world.reader("r", world.process("R", listens=True), fetch, fetch, fetch)
    world.writer("w", world.process("W"), acts.save)


@scenario(is_large=True)
def two_other_processes(world: World) -> None:
    """The same, with two writers."""
    world.reader("r", world.process("R", listens=True), fetch, fetch, fetch)
    for number in (1, 2):
        world.writer(f"w{number}", world.process(f"W{number}"), acts.save)


@scenario()
def one_process(world: World) -> None:
    """Threads of one process, which wait for one another's loads."""
    process = world.process("A", listens=True)
    world.writer("w", process, acts.save)
    for number in (1, 2):
        world.reader(f"r{number}", process, fetch, fetch)


@scenario(is_large=True)
def two_processes(world: World) -> None:
    """Both read and write."""
    for number in (1, 2):
        process = world.process(f"A{number}", listens=True)
        world.writer(f"w{number}", process, acts.save)
        world.reader(f"r{number}", process, fetch)


@scenario()
def a_lost_channel(world: World) -> None:
    """What is announced meanwhile is missed."""
    process = world.process("R", listens=True)
    world.reader("r", process, fetch, fetch, fetch)
    world.writer("w", world.process("W"), acts.save)
    world.lose_channel(process)


# --- faults -----------------------------------------------------------------------------------------------------------
@scenario(warm=fetch, is_large=True)
def an_outage_of_its_own(world: World) -> None:
    """A process writes, and cannot reach the store for a while."""
    process = world.process("A")
    world.cut(process)
    world.mender("m", process)
    world.writer("w", process, acts.save)
    world.reader("r", process, fetch, fetch)


@scenario(warm=fetch)
def an_outage_of_another(world: World) -> None:
    """A process writes, and cannot reach the store any more; another can, and polls the outbox."""
    one, other = world.process("A"), world.process("B")
    world.cut(one, for_good=True)
    world.writer("w", one, acts.save)
    world.mender("n", other)
    world.reader("s", other, fetch, fetch)
    world.must_settle = False  # what the one held expires


@scenario(warm=fetch, is_large=True)
def an_outage_of_all(world: World) -> None:
    """Nobody can reach it, and one recovers before the other."""
    one, other = world.process("A"), world.process("B")
    world.cut(one, other)
    world.mender("m", one)
    world.writer("w", one, acts.commit)
    world.mender("n", other)
    world.reader("s", other, fetch, fetch)


@scenario()
def a_full_store(world: World) -> None:
    """It takes no entries, and intents all the same."""
    process = world.process("R", listens=True)
    world.writer("w", world.process("W"), acts.save)
    world.reader("r1", process, fetch, fetch)
    world.fill_up()


@scenario()
def a_lost_intent(world: World) -> None:
    """The one window: from the commit to the end."""
    for number in (1, 2):
        world.writer(f"w{number}", world.process(f"W{number}"), acts.save)
    world.reader("r", world.process("R"), fetch, fetch, fetch)
    world.lose_intents()


@scenario(noisy=(NAMESPACE, GLOBAL_TAG, BIRTHS, LIST), coarse=True)
def an_emptied_store(world: World) -> None:
    """Intents are gone with all the rest, which is noticed."""
    one, other = world.process("A"), world.process("B")
    world.writer("w", one, acts.save)
    world.mender("m", one)
    world.reader("r", other, fetch, fetch)
    world.flush()


@scenario(noisy=(NAMESPACE, GLOBAL_TAG, BIRTHS, LIST), coarse=True)
def a_restarted_store(world: World) -> None:
    """It holds what it held before."""
    one, other = world.process("A"), world.process("B")
    world.writer("w", one, acts.save)
    world.mender("m", one)
    world.reader("r", other, fetch, fetch)
    world.restart()
    world.must_settle = False
