"""Every schedule of a scenario, depth first; each state is left once in every way, however many ways lead to it.

A state cannot be gone back to, so the way to it is taken again from the start (stateless exploration), and it is known
again by all that what follows depends on (`World.state`), of which a hash of 64 bits is kept.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.cachelayer.interleavings.oracle import Stale
from tests.cachelayer.interleavings.world import NAME, Held, World

Make = Callable[[], World]


class Counterexample(Exception):
    """A schedule that breaks what is promised."""


@dataclass
class Explored:
    """How much there was.

    Attributes:
        states: that are not alike.
        schedules: that were followed to their end; all others lead into one of them.
        runs: from the start.
        steps: in all runs.
        longest: steps of a schedule.
        hits: reads that the shared tier answered, in all runs.
        is_whole: whether there is no more.
    """

    states: int = 0
    schedules: int = 0
    runs: int = 0
    steps: int = 0
    longest: int = 0
    hits: int = 0
    is_whole: bool = False


def explore(make: Make, limit: float = float("inf")) -> Explored:
    """Explore what `make` makes anew for each run, in so many runs at most.

    Raises:
        Counterexample: one was found; it is as short as leaving out steps makes it.
    """
    explored, known = Explored(), set[int]()
    ahead: list[tuple[str, ...]] = [()]
    while ahead and explored.runs < limit:
        path = list(ahead.pop())
        world = make()
        try:
            for choice in path:
                world.take(choice)
            while _is_new(world, known):
                first, *rest = [*world.choices()] or [""]
                if not first:
                    explored.schedules += 1
                    break
                ahead.extend((*path, choice) for choice in rest)
                path.append(first)
                world.take(first)
        except (Stale, Held) as error:
            raise Counterexample(_shortened(make, path, error)) from error
        except BaseException as error:
            error.add_note("\n".join(world.log))
            raise
        finally:
            world.close()
        explored.runs += 1
        explored.steps += len(path)
        explored.longest = max(explored.longest, len(path))
        explored.hits += world.hits
    explored.states, explored.is_whole = len(known), not ahead
    return explored


def _is_new(world: World, known: set[int]) -> bool:
    """Whether a state was not met before, whatever its versions, writes and values are called."""
    names: dict[str, str] = {}
    state = hash(NAME.sub(lambda found: names.setdefault(found[0], f"<{len(names)}>"), world.state()))
    if state in known:
        return False
    known.add(state)
    return True


def _shortened(make: Make, path: Sequence[str], error: Exception) -> str:
    """Leave out steps for as long as the same promise is broken; return what is left."""
    shortest = list(path)
    place = 0
    while place < len(shortest):
        shorter = [*shortest[:place], *shortest[place + 1 :]]
        if isinstance(_replayed(make, shorter)[0], type(error)):
            shortest, place = shorter, 0
        else:
            place += 1
    broken, log = _replayed(make, shortest)
    return "\n".join([*log, f"{type(broken).__name__}: {broken}"])


def _replayed(make: Make, path: Sequence[str]) -> tuple[Exception | None, list[str]]:
    world = make()
    try:
        for choice in path:
            if choice not in world.choices():
                break
            world.take(choice)
    except (Stale, Held) as error:
        return error, world.log
    finally:
        world.close()
    return None, world.log
