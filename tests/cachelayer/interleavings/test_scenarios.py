"""No schedule of any scenario breaks what is promised; and one does in every mutant.

Scenarios that are large are explored in part, unless EXPLORE=all says otherwise (many minutes).
"""

import os
import threading
from collections.abc import Iterator

import pytest

from cachelayer.runtime.runtime import get_runtime, runtime
from tests.cachelayer.conftest import wait_until
from tests.cachelayer.interleavings.doubles import doubles
from tests.cachelayer.interleavings.explorer import Counterexample, Explored, explore
from tests.cachelayer.interleavings.mutants import MUTANTS, Mutant
from tests.cachelayer.interleavings.scenarios import SCENARIOS, Scenario

pytestmark = pytest.mark.once

ALL = os.environ.get("EXPLORE") == "all"
PART = 1500  # runs
LONGEST_HUNT = 20_000
LEAST = 250  # states; fewer are no scenario


@pytest.fixture(autouse=True, scope="module")
def alone() -> Iterator[None]:
    """End the threads of the cache of this process: what they look at is about to be doubles."""
    keeper = get_runtime().threads
    if keeper is not None:
        keeper.stop()
    wait_until(lambda: not any(thread.name.startswith("cachelayer") for thread in threading.enumerate()))
    yield
    runtime.use_configured_store(owns_cache=True)


def explored(scenario: Scenario, limit: float, mutant: Mutant | None = None) -> Explored:
    with doubles(polls=scenario.polls) as stage, pytest.MonkeyPatch.context() as patch:
        if mutant is not None:
            mutant.leave_out(patch)
        return explore(lambda: scenario.make(stage), limit)


@pytest.mark.parametrize("name", SCENARIOS)
def test_no_read_is_stale(name: str) -> None:
    is_part = SCENARIOS[name].is_large and not ALL
    found = explored(SCENARIOS[name], PART if is_part else float("inf"))
    print(name, found)  # noqa: T201 - for who wants to know how much that was
    assert found.is_whole is not is_part
    assert found.states >= LEAST, "hardly anything was explored"
    assert found.schedules > 0
    assert found.hits > 0 or is_part, "nothing was cached"


@pytest.mark.parametrize("name", MUTANTS)
def test_every_step_is_needed(name: str) -> None:
    mutant = MUTANTS[name]
    with pytest.raises(Counterexample, match="Stale"):
        explored(SCENARIOS[mutant.scenario], LONGEST_HUNT, mutant)
