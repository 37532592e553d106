"""Tests of when the circuit breaker opens and closes."""

import pytest

from cachelayer.runtime import circuit_breaker
from cachelayer.runtime.circuit_breaker import FAILURE_WINDOW, FAILURES, CircuitBreaker
from cachelayer.stores.base import StoreDown
from tests.waiting import StoppedClock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> StoppedClock:
    clock = StoppedClock()
    monkeypatch.setattr(circuit_breaker, "monotonic", clock)
    return clock


@pytest.fixture
def openings() -> list[str]:
    """A list with one item for each time that the circuit breaker has opened."""
    return []


@pytest.fixture
def breaker(openings: list[str]) -> CircuitBreaker:
    return CircuitBreaker(lambda: openings.append("open"))


def fail(breaker: CircuitBreaker, clock: StoppedClock) -> None:
    clock.now += 2 * FAILURE_WINDOW
    breaker.record_failure(StoreDown("no answer"))


def test_several_failures_in_a_row_open_it(breaker: CircuitBreaker, clock: StoppedClock, openings: list[str]) -> None:
    for _ in range(FAILURES - 1):
        fail(breaker, clock)
    assert openings == []
    fail(breaker, clock)
    assert not breaker.is_closed
    assert openings == ["open"]


def test_a_success_resets_the_count_of_failures(breaker: CircuitBreaker, clock: StoppedClock) -> None:
    for _ in range(5 * FAILURES):
        breaker.record_success()
        fail(breaker, clock)
    assert breaker.is_closed


def test_simultaneous_failures_count_once(breaker: CircuitBreaker, clock: StoppedClock) -> None:
    """Many concurrent reads that fail because of one short delay must not open the circuit breaker."""
    fail(breaker, clock)
    for _ in range(50):
        breaker.record_failure(StoreDown("no answer"))
    assert breaker.is_closed


def test_repeated_calls_open_and_close_it_once(
    breaker: CircuitBreaker, clock: StoppedClock, openings: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        breaker.trip(StoreDown("no answer"))
    for _ in range(2):
        breaker.reset()
    assert openings == ["open"]
    assert [record.message.partition(":")[0] for record in caplog.records] == ["Cache DEGRADED", "Cache RECOVERED"]
    for _ in range(FAILURES - 1):
        fail(breaker, clock)
    assert breaker.is_closed, "earlier failures do not count"
