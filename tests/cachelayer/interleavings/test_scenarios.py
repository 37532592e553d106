"""In no schedule of a scenario, a read is stale or a write intent is left; for each mutant, some check fails.

Some schedules of large scenarios are explored, drawn at random; with EXPLORE=all every schedule, which takes many
minutes.
"""

import threading
from collections.abc import Iterator

import pytest

from cachelayer.runtime.runtime import get_runtime, runtime
from tests.cachelayer.interleavings.explorer import Counterexample, Exploration, explore
from tests.cachelayer.interleavings.fakes import install_fakes
from tests.cachelayer.interleavings.mutants import MUTANTS, Mutant
from tests.cachelayer.interleavings.scenarios import SCENARIOS, Scenario
from tests.effort import EXPLORES_ALL
from tests.waiting import wait_until

pytestmark = pytest.mark.once

MAX_RUNS_IF_LARGE = 300
MAX_RUNS_OF_A_MUTANT = 20_000
MIN_STATES = 250  # a scenario with fewer states must be set up wrongly


@pytest.fixture(autouse=True, scope="module")
def no_background_threads() -> Iterator[None]:
    """Stop the real background threads of the cache, because the fakes patch the modules that these threads use."""
    threads = get_runtime().threads
    if threads is not None:
        threads.stop()
    wait_until(lambda: not any(thread.name.startswith("cachelayer") for thread in threading.enumerate()))
    yield
    runtime.use_configured_store(owns_cache=True)


def explore_scenario(scenario: Scenario, max_runs: float, mutant: Mutant | None = None) -> Exploration:
    with install_fakes(polls=scenario.polls) as current, pytest.MonkeyPatch.context() as patch:
        if mutant is not None:
            mutant.apply(patch)
        return explore(lambda: scenario.make_system(current), max_runs)


@pytest.mark.parametrize("name", SCENARIOS)
def test_no_read_is_stale_in_any_schedule(name: str) -> None:
    is_partial = SCENARIOS[name].is_large and not EXPLORES_ALL
    exploration = explore_scenario(SCENARIOS[name], MAX_RUNS_IF_LARGE if is_partial else float("inf"))
    print(name, exploration)  # noqa: T201 - pytest -s shows the printed size of the exploration
    assert exploration.is_complete is not is_partial
    assert exploration.states >= MIN_STATES
    assert exploration.schedules > 0
    assert exploration.hits > 0 or is_partial, "the store answered no lookup"


@pytest.mark.parametrize("name", MUTANTS)
def test_a_check_fails_without_this_step(name: str) -> None:
    mutant = MUTANTS[name]
    with pytest.raises(Counterexample, match=mutant.error.__name__):
        explore_scenario(SCENARIOS[mutant.scenario], MAX_RUNS_OF_A_MUTANT, mutant)
