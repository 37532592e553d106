import threading

import pytest

from cachelayer.background.recovery import RecoveryThread
from cachelayer.models import Outbox
from cachelayer.runtime.runtime import CacheRuntime, get_runtime
from cachelayer.stores.base import StoreDown
from conversations.models import Instance
from logs.testing import capture
from tests.conversations.rows import an_instance
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


def test_an_unexpected_error_leaves_the_breaker_open_until_a_later_run_succeeds(
    cache_runtime: CacheRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = an_instance()
    Instance.objects.fetch(row.pk)

    def fail(*_args: object, **_kwargs: object) -> None:
        raise KeyError("a bug")

    recovery = RecoveryThread(cache_runtime, threading.Event())
    with capture() as logged, monkeypatch.context() as patch:
        patch.setattr(cache_runtime.store, "reinitialize", fail)
        cache_runtime.breaker.trip(StoreDown("as in an outage"))
        recovery.tick(woken=False)
        assert not cache_runtime.breaker.is_closed
        assert Instance.objects.fetch(row.pk) == row
    failed = logged.matching(context="cache", level="ERROR", message="Cache recovery FAILED")
    assert "KeyError" in failed[0]["exc_info"]
    assert cache_runtime.counters.snapshot([])["events", "", "background errors"]
    wait_until(lambda: recovery.tick(woken=False) and cache_runtime.breaker.is_closed)


@pytest.mark.postgresql
@pytest.mark.usefixtures("valkey_server")
def test_a_server_process_applies_outbox_rows_of_other_processes() -> None:
    runtime = get_runtime()
    assert runtime.threads is not None
    runtime.threads.start_serving()
    tag = f"instance:{an_instance().pk}"
    before = runtime.store.read([], [tag])
    Outbox.objects.create(tags=tag)
    wait_until(lambda: runtime.store.read([], [tag]) != before)
    wait_until(lambda: not Outbox.objects.exists())


def test_a_process_that_answers_no_requests_leaves_the_outbox_to_the_server(cache_runtime: CacheRuntime) -> None:
    Outbox.objects.create(tags="instance:1")
    RecoveryThread(cache_runtime, threading.Event()).tick(woken=False)
    assert Outbox.objects.count() == 1
