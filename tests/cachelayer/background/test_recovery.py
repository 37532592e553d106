import threading
from collections.abc import Callable
from time import monotonic
from typing import Any

import pytest
from django.db import connection, connections

from cachelayer.background.recovery import RecoveryThread
from cachelayer.models import Outbox
from cachelayer.runtime.runtime import CacheRuntime, get_runtime
from cachelayer.stores.base import StoreDown
from conversations.models import Instance
from logs.testing import capture
from tests.conversations.rows import an_instance
from tests.waiting import TIMEOUT, wait_until

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


class WriteAfterTheLastLook:
    """Calls `write` in another thread, once, when the recovery has found the outbox empty."""

    def __init__(self, write: Callable[[], None]) -> None:
        self._thread = threading.Thread(target=write)

    def __call__(self, execute: Callable[..., Any], sql: str, *arguments: Any) -> Any:
        result = execute(sql, *arguments)
        if self._thread.ident is None and sql.startswith("SELECT") and "outbox" in sql:
            self._thread.start()
            self._thread.join()
        return result


@pytest.mark.postgresql
def test_a_write_between_the_last_look_into_the_outbox_and_the_end_of_the_recovery_is_announced(
    cache_runtime: CacheRuntime,
) -> None:
    runtime, row = cache_runtime, an_instance(profile_name="old")
    assert runtime.threads is not None
    runtime.threads.stop(within=TIMEOUT)
    runtime.threads = None  # the test calls the recovery itself
    recovery = RecoveryThread(runtime, threading.Event())

    def write() -> None:
        Instance.objects.filter(pk=row.pk).update(profile_name="new")
        connections.close_all()

    assert Instance.objects.fetch(row.pk, fresh=True).profile_name == "old"
    runtime.on_write_error(StoreDown("as in an outage"))
    runtime.retry_writes_at = monotonic() + 3600.0
    with connection.execute_wrapper(WriteAfterTheLastLook(write)):
        recovery.tick(woken=False)
    assert Outbox.objects.exists(), "the write was not announced"
    assert not runtime.breaker.is_closed
    assert Instance.objects.fetch(row.pk, fresh=True).profile_name == "new"
    wait_until(lambda: recovery.tick(woken=False) and runtime.breaker.is_closed)
    assert not Outbox.objects.exists()
    assert Instance.objects.fetch(row.pk, fresh=True).profile_name == "new"


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
