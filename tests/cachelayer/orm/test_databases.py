"""Reads and writes of a second database, which is not cached, neither use nor change cache entries of the first."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connections, transaction

from cachelayer.models import Outbox
from cachelayer.runtime.runtime import CacheRuntime
from conversations.models import Contact, Instance
from tests.conversations.rows import an_instance

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("cache_runtime")]


@pytest.fixture(autouse=True)
def other_database(tmp_path: Path, transactional_db: None) -> Iterator[None]:  # noqa: ARG001 - transactional_db must be set up first
    """A second database with the alias `other`, which has the tables of the tested models."""
    connections.settings["other"] = {
        **connections.settings["default"],
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": tmp_path / "other.sqlite3",
        "OPTIONS": {},
    }
    connections["other"].connect()  # Django's test cases forbid queries to connect
    with connections["other"].schema_editor() as editor:
        for model in (Instance, Contact, Outbox):
            editor.create_model(model)
    yield
    connections["other"].close()
    del connections["other"], connections.settings["other"]


@pytest.fixture
def row() -> Instance:
    """A cached row of the first database; the second database has a different row with the same primary key."""
    row = an_instance(profile_name="default")
    Instance(pk=row.pk, name=row.name, profile_name="other").save(using="other", force_insert=True)
    assert fetch_name(row.pk) == "default"
    return row


def fetch_name(pk: int) -> str:
    """Fetch a row from the local cache, from the store and in a page; check that all three names agree."""
    names = {Instance.objects.fetch(pk, fresh=fresh).profile_name for fresh in (False, True)}
    (listed,) = [row.profile_name for row in Instance.objects.page().rows]
    assert names == {listed}
    return listed


def test_reads_of_the_other_database_do_not_use_the_cache(row: Instance, cache_runtime: CacheRuntime) -> None:
    manager = Instance.objects.db_manager("other")
    before = cache_runtime.counters.snapshot(cache_runtime.local.namespaces.values())
    for _ in range(2):
        fetched = manager.fetch(row.pk)
        assert (fetched.profile_name, fetched._state.db) == ("other", "other")  # noqa: SLF001 - Django documents the attribute _state
        assert manager.fetch_many([row.pk])[row.pk].profile_name == "other"
        assert [one.profile_name for one in manager.page().rows] == ["other"]
        assert [one.profile_name for one in manager.by_name(row.name)] == ["other"]
    assert cache_runtime.counters.snapshot(cache_runtime.local.namespaces.values()) == before
    assert fetch_name(row.pk) == "default"
    assert Instance.objects.fetch(row.pk)._state.db == "default"  # noqa: SLF001 - Django documents the attribute _state


def test_a_related_manager_reads_the_database_of_its_row(row: Instance) -> None:
    contact = row.contacts.create(jid="1@lid", name="default")
    other_row = Instance.objects.using("other").get(pk=row.pk)
    Contact(pk=contact.pk, instance_id=row.pk, jid="1@lid", name="other").save(using="other", force_insert=True)
    for _ in range(2):
        assert other_row.contacts.fetch(contact.pk).name == "other"
        assert row.contacts.fetch(contact.pk).name == "default"
        assert Contact.objects.fetch(contact.pk).name == "default"


WRITES: dict[str, Any] = {
    "save": lambda row: Instance(pk=row.pk, name=row.name, profile_name="new").save(using="other"),
    "update": lambda _: Instance.objects.using("other").update(profile_name="new"),
    "bulk_update": lambda row: Instance.objects.using("other").bulk_update(
        [Instance(pk=row.pk, profile_name="new")], ["profile_name"]
    ),
    "fast_bulk_update": lambda row: Instance.objects.db_manager("other").fast_bulk_update(
        [Instance(pk=row.pk, profile_name="new")], ["profile_name"]
    ),
    "bulk_create": lambda _: Instance.objects.using("other").bulk_create([Instance(name=f"{uuid.uuid4()}")]),
    "create": lambda _: Instance.objects.db_manager("other").create(name=f"{uuid.uuid4()}"),
    "delete": lambda row: Instance.objects.using("other").filter(pk=row.pk)._raw_delete("other"),  # noqa: SLF001 - Django calls _raw_delete in large cascades
}


def test_writes_to_the_other_database_end_their_intents_and_change_no_cached_row(
    row: Instance, cache_runtime: CacheRuntime
) -> None:
    for name, write in WRITES.items():
        for fails in (True, False):
            with transaction.atomic(using="other"):
                write(row)
                assert fetch_name(row.pk) == "default", name
                transaction.set_rollback(fails, using="other")
        assert not cache_runtime.in_flight, name
        write(row)
        assert fetch_name(row.pk) == "default", name
        assert not cache_runtime.in_flight, name


def test_a_transaction_on_the_other_database_does_not_prevent_fills(row: Instance, cache_runtime: CacheRuntime) -> None:
    cache_runtime.local.invalidate(["*"])
    cache_runtime.store.touch(["*"])
    with transaction.atomic(using="other"):
        fetch_name(row.pk)
        assert cache_runtime.local.namespaces["instances"].get(row.pk) is not None


class ReplicaRouter:
    """A database router that writes to the default database and reads from the second, as if from a replica."""

    def db_for_read(self, model: object, **_hints: object) -> str | None:
        return "other" if model is Instance else None

    def db_for_write(self, model: object, **_hints: object) -> str | None:
        return "default" if model is Instance else None


def test_entries_are_loaded_from_the_database_that_is_written_to(row: Instance, settings: Any) -> None:
    settings.DATABASE_ROUTERS = [ReplicaRouter()]
    assert Instance.objects.get(pk=row.pk).profile_name == "other"
    row.profile_name = "new"
    row.save()
    assert fetch_name(row.pk) == "new"
    assert Instance.objects.fetch_many([row.pk])[row.pk].profile_name == "new"
    Instance.objects.filter(pk=row.pk).update(profile_name="newer")
    assert fetch_name(row.pk) == "newer"
    assert Instance.objects.fetch(row.pk)._state.db == "default"  # noqa: SLF001 - Django documents the attribute _state
