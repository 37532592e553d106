import pytest
from django.db import connection

from cachelayer.models import Outbox
from cachelayer.runtime.runtime import CacheRuntime
from cachelayer.stores.base import StoreDown
from cachelayer.write import outbox
from conversations.models import Instance
from tests.cachelayer.threads import in_another_thread
from tests.cachelayer.write.test_transactions import name_of
from tests.conversations.rows import an_instance

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("cache_runtime")]


@pytest.fixture
def row() -> Instance:
    """A row with a stale cache entry; the outbox holds the tag of the row."""
    row = an_instance(profile_name="old")
    assert name_of(row) == "old"
    with connection.cursor() as cursor:
        cursor.execute("UPDATE conversations_instance SET profile_name = 'new' WHERE id = %s", [row.pk])
    outbox.record("default", [f"instance:{row.pk}"])
    return row


def test_drain_touches_the_tags_and_deletes_the_rows(row: Instance, cache_runtime: CacheRuntime) -> None:
    assert name_of(row) == "old"
    assert outbox.drain(cache_runtime) == 1
    assert name_of(row) == "new"
    assert not Outbox.objects.exists()


def test_rows_stay_if_the_store_does_not_answer(
    row: Instance, cache_runtime: CacheRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object) -> None:
        raise StoreDown("gone")

    with monkeypatch.context() as patch:
        patch.setattr(cache_runtime.store, "touch", fail)
        with pytest.raises(StoreDown):
            outbox.drain(cache_runtime)
    assert outbox.drain(cache_runtime) == 1
    assert name_of(row) == "new"


@pytest.mark.postgresql
@pytest.mark.usefixtures("row")
def test_no_row_is_locked_while_the_store_is_called(
    cache_runtime: CacheRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that freezes while it drains the outbox must not keep other processes from draining."""
    apply = outbox.apply
    results: list[object] = []

    def apply_while_another_process_drains(runtime: CacheRuntime, tags: list[str]) -> None:
        apply(runtime, tags)
        if not results:
            results.append("applied")
            results.append(in_another_thread(lambda: outbox.drain(cache_runtime)))

    monkeypatch.setattr(outbox, "apply", apply_while_another_process_drains)
    assert outbox.drain(cache_runtime) == 0
    assert results == ["applied", 1]
