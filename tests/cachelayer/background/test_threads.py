"""A fault of ours in the threads that mend: nothing is believed while it lasts, it is counted, and it passes."""

from typing import Any

import pytest

from cachelayer.background import heartbeat, recovery
from cachelayer.runtime.runtime import CacheRuntime
from conversations.models import Instance
from logs.testing import capture
from tests.cachelayer.conftest import wait_until
from tests.conversations.rows import an_instance

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]


@pytest.mark.parametrize(
    ("part", "name"), [(heartbeat.LeaseRenewer, "_beat"), (recovery.RecoveryThread, "_mend")], ids=["pulse", "mender"]
)
def test_a_fault_is_told_counted_and_gone_with_its_cause(
    cache_runtime: CacheRuntime, monkeypatch: pytest.MonkeyPatch, part: type[Any], name: str
) -> None:
    row = an_instance()
    Instance.objects.fetch(row.pk)

    def broken(*_: object) -> None:
        raise KeyError(name)

    with capture() as logged, monkeypatch.context() as fault:
        fault.setattr(part, name, broken)
        wait_until(lambda: logged.matching(context="cache", level="ERROR", message="FAILED"))
        wait_until(lambda: not cache_runtime.breaker.is_closed or part is heartbeat.LeaseRenewer)
        assert Instance.objects.fetch(row.pk) == row
    assert "KeyError" in logged.matching(level="ERROR", message="FAILED")[0]["exc_info"]
    assert cache_runtime.counters.snapshot([])["events", "", "failed rounds"]
    wait_until(lambda: cache_runtime.breaker.is_closed)
