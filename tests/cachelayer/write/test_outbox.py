"""The outbox: who drains it holds no lock, and dies without loss."""

import pytest
from django.core.management import call_command
from django.db import connection

from cachelayer.models import Outbox
from cachelayer.runtime.runtime import CacheRuntime
from cachelayer.stores.base import StoreDown
from cachelayer.write import outbox
from conversations.models import Instance
from tests.cachelayer.write.test_transactions import in_a_thread, name_of
from tests.conversations.rows import an_instance

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("cache_runtime")]


def behind_the_cache(row: Instance) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE conversations_instance SET profile_name = 'new' WHERE id = %s", [row.pk])


@pytest.fixture
def row() -> Instance:
    """A row of which the cache knows only what it was, and the outbox that it was touched."""
    made = an_instance(profile_name="old")
    assert name_of(made) == "old"
    behind_the_cache(made)
    outbox.record("default", [f"instance:{made.pk}"])
    return made


def test_what_is_drained_is_touched_and_gone(row: Instance, cache_runtime: CacheRuntime) -> None:
    assert name_of(row) == "old"
    assert outbox.drain(cache_runtime) == 1
    assert name_of(row) == "new"
    assert not Outbox.objects.exists()


def test_nothing_is_lost_when_the_store_does_not_take_it(
    row: Instance, cache_runtime: CacheRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StoreDown("gone")

    monkeypatch.setattr(cache_runtime.store, "touch", fail)
    with pytest.raises(StoreDown):
        outbox.drain(cache_runtime)
    monkeypatch.undo()
    assert outbox.drain(cache_runtime) == 1
    assert name_of(row) == "new"


@pytest.mark.postgresql
@pytest.mark.usefixtures("row")
def test_the_store_is_asked_before_anything_is_locked(cache_runtime: CacheRuntime, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process may drain at the same time, and one that is frozen meanwhile holds up nobody."""
    touch = outbox.apply
    drained: list[object] = []

    def touch_and_let_another_drain(now: CacheRuntime, tags: list[str]) -> None:
        touch(now, tags)
        if not drained:
            drained.append(True)
            drained.append(in_a_thread(lambda: outbox.drain(cache_runtime)))

    monkeypatch.setattr(outbox, "apply", touch_and_let_another_drain)
    assert outbox.drain(cache_runtime) == 0
    assert drained == [True, 1]


def test_after_a_migration_nothing_old_is_believed() -> None:
    row = an_instance(profile_name="old")
    assert name_of(row) == "old"
    behind_the_cache(row)
    call_command("migrate", verbosity=0)
    assert name_of(row) == "new"
