"""No schedule of any scenario breaks what is promised; and one does in every mutant.

The larger scenarios are explored in part, unless EXPLORE=all says otherwise (some minutes).
"""

import os
import threading
from collections.abc import Iterator

import pytest

from cachelayer import service
from tests.cachelayer.conftest import wait_until
from tests.cachelayer.interleavings.doubles import doubles
from tests.cachelayer.interleavings.explorer import Counterexample, Explored, explore
from tests.cachelayer.interleavings.mutants import MUTANTS, Mutant
from tests.cachelayer.interleavings.scenarios import SCENARIOS, Scenario

WHOLE = "two_writers_two_readers"
PART = 1500  # runs
LIMIT = 10**9 if os.environ.get("EXPLORE") == "all" else PART


@pytest.fixture(autouse=True, scope="module")
def alone() -> Iterator[None]:
    """End the threads of the cache of this process: what they look at is about to be doubles."""
    keeper = service.current().keeper
    if keeper is not None:
        keeper.stop()
    wait_until(lambda: not any(thread.name.startswith("cachelayer") for thread in threading.enumerate()))
    yield
    service.use(service.make(is_guest=False))


def explored(scenario: Scenario, limit: int, mutant: Mutant | None = None) -> Explored:
    with doubles(polls=scenario.polls) as stage, pytest.MonkeyPatch.context() as patch:
        if mutant is not None:
            mutant.leave_out(patch)
        return explore(lambda: scenario.make(stage), limit)


@pytest.mark.parametrize("name", SCENARIOS)
def test_no_read_is_stale(name: str) -> None:
    found = explored(SCENARIOS[name], 10**9 if name == WHOLE else LIMIT)
    assert found.schedules > 0
    assert found.runs >= (10_000 if name == WHOLE else 900), "hardly anything was explored"


@pytest.mark.parametrize("name", MUTANTS)
def test_every_step_is_needed(name: str) -> None:
    mutant = MUTANTS[name]
    with pytest.raises(Counterexample, match="Stale"):
        explored(SCENARIOS[mutant.scenario], 20_000, mutant)
