import threading

import pytest

from cachelayer.background.heartbeat import LeaseRenewer
from cachelayer.background.recovery import RecoveryThread
from cachelayer.runtime.runtime import CacheRuntime
from conversations.models import Instance
from logs.testing import capture
from tests.conversations.rows import an_instance
from tests.waiting import wait_until

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
