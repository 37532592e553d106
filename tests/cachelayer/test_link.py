"""When the shared tier is no longer believed."""

import pytest

from cachelayer import link
from cachelayer.link import APART, FAILURES, Link
from cachelayer.store.base import StoreDown


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(link, "monotonic", made)
    return made


@pytest.fixture
def opened() -> list[str]:
    return []


@pytest.fixture
def breaker(opened: list[str]) -> Link:
    return Link(lambda: opened.append("opened"))


def fail(breaker: Link, clock: Clock) -> None:
    clock.now += 2 * APART
    breaker.failed(StoreDown("away"))


def test_it_opens_after_a_few_failures_on_end(breaker: Link, clock: Clock, opened: list[str]) -> None:
    for _ in range(FAILURES - 1):
        fail(breaker, clock)
    assert breaker.usable
    fail(breaker, clock)
    assert not breaker.usable
    assert opened == ["opened"]


def test_an_answer_in_between_makes_up_for_failures(breaker: Link, clock: Clock) -> None:
    for _ in range(5 * FAILURES):
        breaker.succeeded()
        fail(breaker, clock)
    assert breaker.usable


def test_those_who_fail_together_fail_once(breaker: Link, clock: Clock) -> None:
    """A crowd that was answered late once has not seen a server that is gone."""
    fail(breaker, clock)
    for _ in range(50):
        breaker.failed(StoreDown("away"))
    assert breaker.usable


def test_it_is_opened_and_closed_once(
    breaker: Link, clock: Clock, opened: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        breaker.open(StoreDown("away"))
    for _ in range(2):
        breaker.close()
    assert opened == ["opened"]
    assert [record.message for record in caplog.records] == [
        "Cache DEGRADED: away; reads go to the database until it is back",
        "Cache RECOVERED",
    ]
    for _ in range(FAILURES - 1):
        fail(breaker, clock)
    assert breaker.usable, "what failed before is forgotten"
