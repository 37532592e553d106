"""Tests of when the circuit breaker opens and closes, and how long the store is trusted."""

from contextlib import suppress

import pytest

from cachelayer.runtime import circuit_breaker
from cachelayer.runtime.circuit_breaker import FAILURE_WINDOW, FAILURES, TRUST_S, CircuitBreaker
from cachelayer.stores.base import StoreDown, StoreRefuses, StoreSlow
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
    assert [breaker.reset(0) for _ in range(2)] == [True, False]
    assert openings == ["open"]
    assert [record.message.partition(":")[0] for record in caplog.records] == ["Cache DEGRADED", "Cache RECOVERED"]
    for _ in range(FAILURES - 1):
        fail(breaker, clock)
    assert breaker.is_closed, "earlier failures do not count"


# --- writes -----------------------------------------------------------------------------------------------------------
def send_write(breaker: CircuitBreaker, error: Exception | None = None) -> None:
    with suppress(StoreDown), breaker.attempt_write():
        if error is not None:
            raise error


def test_the_store_is_trusted_for_a_second_after_the_sending_of_an_accepted_write(
    breaker: CircuitBreaker, clock: StoppedClock
) -> None:
    trust = [breaker.is_trusted]
    with breaker.attempt_write():
        clock.now += TRUST_S / 2
    trust.append(breaker.is_trusted)
    clock.now += TRUST_S / 2
    trust.append(breaker.is_trusted)
    assert trust == [False, True, False]
    assert breaker.is_closed


@pytest.mark.parametrize("error", [StoreSlow("paused"), StoreRefuses("read-only")])
def test_answered_reads_do_not_prolong_the_trust(
    breaker: CircuitBreaker, clock: StoppedClock, error: Exception
) -> None:
    send_write(breaker)
    for _ in range(5):
        clock.now += TRUST_S / 5
        send_write(breaker, error)
        breaker.record_success()
    assert not breaker.is_trusted


def test_it_is_known_since_when_the_store_accepts_no_writes(breaker: CircuitBreaker, clock: StoppedClock) -> None:
    send_write(breaker)
    since = clock.now = clock.now + 0.1
    for _ in range(3):
        send_write(breaker, StoreSlow("paused"))
        clock.now += 0.1
    assert breaker.writes_fail_since == since
    send_write(breaker)
    assert breaker.writes_fail_since is None


def test_a_store_that_accepts_writes_again_after_a_second_is_used_only_after_a_recovery(
    breaker: CircuitBreaker, clock: StoppedClock, openings: list[str]
) -> None:
    """Another process may have written tags into the outbox meanwhile."""
    send_write(breaker)
    breaker.has_heartbeat = True
    clock.now += TRUST_S
    send_write(breaker)
    assert openings == ["open"]
    breaker.reset(0)
    assert breaker.is_trusted


def test_it_stays_open_if_a_write_was_counted_after_the_outbox_was_read(breaker: CircuitBreaker) -> None:
    breaker.count_unannounced(StoreDown("no answer"))
    count = breaker.unannounced_count
    breaker.count_unannounced(StoreDown("no answer"))
    assert not breaker.reset(count)
    assert not breaker.is_closed
    assert breaker.reset(breaker.unannounced_count)


def test_a_write_that_is_counted_after_the_breaker_has_closed_opens_it(
    breaker: CircuitBreaker, openings: list[str]
) -> None:
    breaker.count_unannounced(StoreDown("no answer"))
    assert breaker.reset(breaker.unannounced_count)
    breaker.count_unannounced(StoreDown("no answer"))
    assert not breaker.is_closed
    assert openings == ["open", "open"]


def test_the_time_between_two_writes_means_nothing_in_a_process_without_a_heartbeat(
    breaker: CircuitBreaker, clock: StoppedClock, openings: list[str]
) -> None:
    """Such a process rarely sends writes, for example when it opens a connection."""
    for _ in range(3):
        send_write(breaker)
        assert breaker.is_trusted
        clock.now += 3600 * TRUST_S
    assert openings == []


def test_writes_are_rejected_when_they_have_failed_for_a_second(breaker: CircuitBreaker, clock: StoppedClock) -> None:
    """The time counts from the first failed write, not from the start of the process."""
    rejections = [breaker.rejects_writes]
    for seconds in (0, TRUST_S / 2, TRUST_S / 2):
        clock.now += seconds
        send_write(breaker, StoreSlow("paused"))
        rejections.append(breaker.rejects_writes)
    assert rejections == [False, False, False, True]
