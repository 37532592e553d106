import threading
from collections.abc import Iterator

import pytest

from cachelayer.background.heartbeat import LeaseRenewer
from cachelayer.background.recovery import RecoveryThread
from cachelayer.runtime import circuit_breaker
from cachelayer.runtime.runtime import CacheRuntime, memory_store
from cachelayer.stores.base import StoreSlow
from conversations.models import Instance
from logs.testing import capture
from tests.cachelayer.conftest import stop_threads
from tests.conversations.rows import an_instance
from tests.waiting import StoppedClock, wait_until

pytestmark = pytest.mark.django_db(transaction=True)


def test_an_unexpected_error_trips_the_breaker_until_the_recovery_has_run(
    cache_runtime: CacheRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = an_instance()
    Instance.objects.fetch(row.pk)

    def fail(*_args: object, **_kwargs: object) -> None:
        raise KeyError("a bug")

    heartbeat = LeaseRenewer(cache_runtime, threading.Event())
    with capture() as logged, monkeypatch.context() as patch:
        patch.setattr(cache_runtime.store, "reinitialize", fail)
        heartbeat.tick(woken=False)
        assert logged.matching(context="cache", level="ERROR", message="Cache heartbeat FAILED")
        assert Instance.objects.fetch(row.pk) == row
    assert "KeyError" in logged.matching(level="ERROR", message="FAILED")[0]["exc_info"]
    assert cache_runtime.counters.snapshot([])["events", "", "background errors"]
    recovery = RecoveryThread(cache_runtime, threading.Event())
    wait_until(lambda: recovery.tick(woken=False) and cache_runtime.breaker.is_closed)


# --- when the breaker opens -------------------------------------------------------------------------------------------
@pytest.fixture
def clock() -> Iterator[StoppedClock]:
    """The clock of the breaker; it runs again before the fixture `cache_runtime` waits for the store."""
    clock = StoppedClock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(circuit_breaker, "monotonic", clock)
        yield clock


@pytest.fixture
def fresh_runtime(cache_runtime: CacheRuntime) -> Iterator[CacheRuntime]:
    """The cache runtime of a process that has not used its store yet, and that has no background threads."""
    stop_threads()
    cache_runtime.use_store(memory_store)
    cache_runtime.breaker.start(trusted_until=0.0)
    yield cache_runtime
    cache_runtime.use_configured_store(owns_cache=True)


def test_a_process_may_use_the_store_long_before_its_first_heartbeat(
    fresh_runtime: CacheRuntime, clock: StoppedClock
) -> None:
    breaker, heartbeat = fresh_runtime.breaker, LeaseRenewer(fresh_runtime, threading.Event())
    with breaker.attempt_write():  # a new connection
        pass
    clock.now += 3600
    heartbeat.tick(woken=False)
    assert breaker.is_trusted
    clock.now += 3600  # the process was suspended
    heartbeat.tick(woken=False)
    assert not breaker.is_closed


def test_one_slow_answer_at_the_start_of_a_process_is_no_outage(
    fresh_runtime: CacheRuntime, clock: StoppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def time_out(**_options: object) -> None:
        raise StoreSlow("no answer within 50 ms")

    breaker, heartbeat = fresh_runtime.breaker, LeaseRenewer(fresh_runtime, threading.Event())
    with monkeypatch.context() as patch:
        patch.setattr(fresh_runtime.store, "reinitialize", time_out)
        heartbeat.tick(woken=False)
    assert breaker.is_closed
    clock.now += 10
    heartbeat.tick(woken=False)
    assert breaker.is_trusted
