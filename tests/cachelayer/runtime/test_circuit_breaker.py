"""When the shared tier is no longer believed."""

import pytest

from cachelayer.runtime import circuit_breaker
from cachelayer.runtime.circuit_breaker import FAILURE_WINDOW, FAILURES, CircuitBreaker
from cachelayer.stores.base import StoreDown


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(circuit_breaker, "monotonic", made)
    return made


@pytest.fixture
def opened() -> list[str]:
    return []


@pytest.fixture
def breaker(opened: list[str]) -> CircuitBreaker:
    return CircuitBreaker(lambda: opened.append("opened"))


def fail(breaker: CircuitBreaker, clock: Clock) -> None:
    clock.now += 2 * FAILURE_WINDOW
    breaker.record_failure(StoreDown("away"))


def test_it_opens_after_a_few_failures_on_end(breaker: CircuitBreaker, clock: Clock, opened: list[str]) -> None:
    for _ in range(FAILURES - 1):
        fail(breaker, clock)
    assert opened == []
    fail(breaker, clock)
    assert not breaker.is_closed
    assert opened == ["opened"]


def test_an_answer_in_between_makes_up_for_failures(breaker: CircuitBreaker, clock: Clock) -> None:
    for _ in range(5 * FAILURES):
        breaker.record_success()
        fail(breaker, clock)
    assert breaker.is_closed


def test_those_who_fail_together_fail_once(breaker: CircuitBreaker, clock: Clock) -> None:
    """A crowd that was answered late once has not seen a server that is gone."""
    fail(breaker, clock)
    for _ in range(50):
        breaker.record_failure(StoreDown("away"))
    assert breaker.is_closed


def test_it_is_opened_and_closed_once(
    breaker: CircuitBreaker, clock: Clock, opened: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        breaker.trip(StoreDown("away"))
    for _ in range(2):
        breaker.reset()
    assert opened == ["opened"]
    assert [record.message for record in caplog.records] == [
        "Cache DEGRADED: away; reads go to the database until it is back",
        "Cache RECOVERED",
    ]
    for _ in range(FAILURES - 1):
        fail(breaker, clock)
    assert breaker.is_closed, "what failed before is forgotten"
