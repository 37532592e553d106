"""A second database beside the one that is cached: what is read and written there is nobody's business here."""

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
def other(tmp_path: Path, transactional_db: None) -> Iterator[str]:  # noqa: ARG001 - which must not know of this one
    """The alias of a database with the tables that are needed here."""
    connections.settings["other"] = {
        **connections.settings["default"],
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": tmp_path / "other.sqlite3",
        "OPTIONS": {},
    }
    connections["other"].connect()  # itself, for Django's test case would ask whether this one was announced
    with connections["other"].schema_editor() as editor:
        for model in (Instance, Contact, Outbox):
            editor.create_model(model)
    yield "other"
    connections["other"].close()
    del connections["other"], connections.settings["other"]


@pytest.fixture
def row() -> Instance:
    """A row that is cached; the other database has another one of the same key."""
    here = an_instance(profile_name="here")
    Instance(pk=here.pk, name=here.name, profile_name="there").save(using="other", force_insert=True)
    assert read(here.pk) == "here"
    return here


def read(pk: int) -> str:
    names = {Instance.objects.fetch(pk, fresh=fresh).profile_name for fresh in (False, True)}
    (page,) = [row.profile_name for row in Instance.objects.page().rows]
    assert names == {page}
    return page


def test_what_is_read_there_comes_from_there_and_is_not_kept(row: Instance, cache_runtime: CacheRuntime) -> None:
    there = Instance.objects.db_manager("other")
    before = cache_runtime.counters.snapshot(cache_runtime.local.namespaces.values())
    for _ in range(2):
        found = there.fetch(row.pk)
        assert (found.profile_name, found._state.db) == ("there", "other")  # noqa: SLF001 - Django's documented way
        assert there.fetch_many([row.pk])[row.pk].profile_name == "there"
        assert [one.profile_name for one in there.page().rows] == ["there"]
        assert [one.profile_name for one in there.by_name(row.name)] == ["there"]
    assert cache_runtime.counters.snapshot(cache_runtime.local.namespaces.values()) == before
    assert read(row.pk) == "here"
    assert Instance.objects.fetch(row.pk)._state.db == "default"  # noqa: SLF001 - as above


def test_rows_that_are_related_to_one_from_there_come_from_there(row: Instance) -> None:
    here = row.contacts.create(jid="1@lid", name="here")
    there = Instance.objects.using("other").get(pk=row.pk)
    Contact(pk=here.pk, instance_id=row.pk, jid="1@lid", name="there").save(using="other", force_insert=True)
    for _ in range(2):
        assert there.contacts.fetch(here.pk).name == "there"
        assert row.contacts.fetch(here.pk).name == "here"
        assert Contact.objects.fetch(here.pk).name == "here"


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
    "delete": lambda row: Instance.objects.using("other").filter(pk=row.pk)._raw_delete("other"),  # noqa: SLF001 - as Django
}


def test_what_is_written_there_leaves_nothing_held_and_what_is_here_as_it_is(
    row: Instance, cache_runtime: CacheRuntime
) -> None:
    for name, write in WRITES.items():
        for fails in (True, False):
            with transaction.atomic(using="other"):
                write(row)
                assert read(row.pk) == "here", name
                transaction.set_rollback(fails, using="other")
        assert not cache_runtime.in_flight, name
        write(row)
        assert read(row.pk) == "here", name
        assert not cache_runtime.in_flight, name


def test_a_transaction_there_keeps_nobody_from_caching_here(row: Instance, cache_runtime: CacheRuntime) -> None:
    cache_runtime.local.invalidate(["*"])
    cache_runtime.store.touch(["*"])
    with transaction.atomic(using="other"):
        read(row.pk)
        assert cache_runtime.local.namespaces["instances"].get(row.pk) is not None


class ReadsElsewhere:
    """Sends reads to a replica, which is behind."""

    def db_for_read(self, model: object, **_hints: object) -> str | None:
        return "other" if model is Instance else None

    def db_for_write(self, model: object, **_hints: object) -> str | None:
        return "default" if model is Instance else None


def test_with_a_replica_what_is_cached_comes_from_where_writes_go(row: Instance, settings: Any) -> None:
    settings.DATABASE_ROUTERS = [ReadsElsewhere()]
    assert Instance.objects.get(pk=row.pk).profile_name == "there"
    row.profile_name = "new"
    row.save()
    assert read(row.pk) == "new"
    assert Instance.objects.fetch_many([row.pk])[row.pk].profile_name == "new"
    Instance.objects.filter(pk=row.pk).update(profile_name="newer")
    assert read(row.pk) == "newer"
    assert Instance.objects.fetch(row.pk)._state.db == "default"  # noqa: SLF001 - Django's documented way
