"""Explores the schedules of a scenario; a schedule that reaches a known state is not followed further.

An exploration that stops early has followed schedules from all over the tree, because the next one is drawn. The draws
are the same in every run.

A run cannot be rewound, so the explorer returns to a state by repeating all steps from the start of a new run. Two
states are the same if `System.state` returns the same text; the explorer keeps a 64-bit hash of each text.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.cachelayer.interleavings.oracle import StaleRead
from tests.cachelayer.interleavings.system import TOKEN, LeakedIntent, System

MakeSystem = Callable[[], System]


class Counterexample(Exception):
    """Some schedule makes a check fail; the error text is the trace of the steps."""


@dataclass
class Exploration:
    """The result of an exploration that found no error: how much was explored.

    Attributes:
        states: the number of different states.
        schedules: the number of schedules followed to the end; all other schedules reach a state already known.
        runs: the number of runs; each run starts from the initial state.
        steps: the number of steps in all runs.
        longest: the number of steps of the longest run.
        hits: the number of lookups that the store answered, in all runs.
        is_complete: whether all schedules were explored.
    """

    states: int = 0
    schedules: int = 0
    runs: int = 0
    steps: int = 0
    longest: int = 0
    hits: int = 0
    is_complete: bool = False


def explore(make_system: MakeSystem, max_runs: float = float("inf")) -> Exploration:
    """Explore the schedules of a scenario.

    Args:
        make_system: returns a new `System` in its initial state; called once for each run.
        max_runs: the number of runs after which the exploration stops.

    Raises:
        Counterexample: a check failed; the error text is a trace without unnecessary steps.
    """
    exploration, known = Exploration(), set[int]()
    pending: list[tuple[str, ...]] = [()]
    rng = random.Random(1)
    while pending and exploration.runs < max_runs:
        drawn = rng.randrange(len(pending))
        pending[drawn], pending[-1] = pending[-1], pending[drawn]
        path = list(pending.pop())
        system = make_system()
        try:
            for choice in path:
                system.take(choice)
            while _is_new(system, known):
                first, *rest = [*system.choices()] or [""]
                if not first:
                    exploration.schedules += 1
                    break
                pending.extend((*path, choice) for choice in rest)
                path.append(first)
                system.take(first)
        except (StaleRead, LeakedIntent) as error:
            raise Counterexample(_shorten(make_system, path, error)) from error
        except BaseException as error:
            error.add_note("\n".join(system.log))
            raise
        finally:
            system.close()
        exploration.runs += 1
        exploration.steps += len(path)
        exploration.longest = max(exploration.longest, len(path))
        exploration.hits += system.hits
    exploration.states, exploration.is_complete = len(known), not pending
    return exploration


def _is_new(system: System, known: set[int]) -> bool:
    """Tell whether the state of the system is new; add the state to `known`, with tokens numbered as they appear."""
    names: dict[str, str] = {}
    state = hash(TOKEN.sub(lambda found: names.setdefault(found[0], f"<{len(names)}>"), system.state()))
    if state in known:
        return False
    known.add(state)
    return True


def _shorten(make_system: MakeSystem, path: Sequence[str], error: Exception) -> str:
    """Remove steps from a failing path as long as the same check still fails; return the trace of the shorter path."""
    shortest = list(path)
    position = 0
    while position < len(shortest):
        shorter = [*shortest[:position], *shortest[position + 1 :]]
        if isinstance(_replay(make_system, shorter)[0], type(error)):
            shortest, position = shorter, 0
        else:
            position += 1
    failure, log = _replay(make_system, shortest)
    return "\n".join([*log, f"{type(failure).__name__}: {failure}"])


def _replay(make_system: MakeSystem, path: Sequence[str]) -> tuple[Exception | None, list[str]]:
    system = make_system()
    try:
        for choice in path:
            if choice not in system.choices():
                break
            system.take(choice)
    except (StaleRead, LeakedIntent) as error:
        return error, system.log
    finally:
        system.close()
    return None, system.log
