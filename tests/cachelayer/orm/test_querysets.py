"""After a write of any kind that Django offers, cached reads of rows and lists agree with the database."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

import pytest
from asgiref.sync import sync_to_async
from django.db import connections, transaction
from django.db.models import F

from cachelayer.runtime.runtime import CacheRuntime
from conversations.models import Contact, Instance
from tests.conversations.rows import a_contact, an_instance

T = TypeVar("T")
pytestmark = pytest.mark.django_db(transaction=True)


def fetch_contacts(instance: Instance) -> list[list[Any]]:
    """Fetch an instance's contacts as a cached list and as cached rows; return both, sorted in the same order."""
    rows = Contact.objects.for_instance(instance).rows
    pks = Contact.objects.filter(instance=instance).values_list("pk", flat=True)
    fetched = sorted(Contact.objects.fetch_many(pks).values(), key=lambda row: (row.name, row.pk))
    return [[(row.pk, row.name, row.presence) for row in contacts] for contacts in (rows, fetched)]


WRITES: dict[str, Callable[[Instance, Contact], object]] = {
    "update": lambda _, row: Contact.objects.filter(pk=row.pk).update(name="new"),
    "update of related rows": lambda instance, _: instance.contacts.update(name=F("jid")),
    "update by the base manager": lambda _, row: Contact._base_manager.filter(pk=row.pk).update(name="new"),  # noqa: SLF001 - Django documents the attribute _base_manager
    "bulk_create": lambda instance, _: Contact.objects.bulk_create([Contact(instance=instance, jid="1@lid", name="1")]),
    "bulk_create with conflicts": lambda instance, row: Contact.objects.bulk_create(
        [Contact(instance=instance, jid=row.jid, name="new")],
        update_conflicts=True,
        unique_fields=["instance", "jid"],
        update_fields=["name"],
    ),
    "bulk_update": lambda _, row: Contact.objects.bulk_update([renamed(row)], ["name"]),
    "fast_bulk_update": lambda _, row: Contact.objects.fast_bulk_update([renamed(row)], ["name"]),
    "update_or_create": lambda instance, row: Contact.objects.update_or_create(
        instance=instance, jid=row.jid, defaults={"name": "new"}
    ),
    "get_or_create": lambda instance, _: Contact.objects.get_or_create(instance=instance, jid="2@lid"),
    "create": lambda instance, _: instance.contacts.create(jid="3@lid", name="new"),
    "save of some fields": lambda _, row: renamed(row).save(update_fields=["name"]),
    "delete": lambda _, row: row.delete(),
    "delete of a queryset": lambda instance, _: instance.contacts.all().delete(),
    "asave": lambda _, row: run(renamed(row).asave()),
    "aupdate": lambda _, row: run(Contact.objects.filter(pk=row.pk).aupdate(name="new")),
}


def renamed(row: Contact) -> Contact:
    row.name = "new"
    return row


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine, and then close the database connections that the coroutine has opened in another thread."""

    async def run_and_close() -> T:
        try:
            return await coroutine
        finally:
            await sync_to_async(connections.close_all)()

    return asyncio.run(run_and_close())


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
@pytest.mark.parametrize("fails", [False, True], ids=["committed", "rolled back"])
def test_a_write_invalidates_rows_and_lists(
    cache_runtime: CacheRuntime, write: Callable[[Instance, Contact], object], *, fails: bool
) -> None:
    instance = an_instance()
    row = a_contact(instance, name="old")
    a_contact(instance, name="other")
    before = fetch_contacts(instance)
    assert fetch_contacts(instance) == before
    if fails:
        with suppress(ZeroDivisionError), transaction.atomic():
            if "run" in write.__code__.co_names:
                raise ZeroDivisionError  # coroutines write in another thread, so not in this transaction
            write(instance, row)
            assert fetch_contacts(instance) != before
            raise ZeroDivisionError
        assert fetch_contacts(instance) == before
    else:
        write(instance, row)
        listed, fetched = fetch_contacts(instance)
        assert listed == fetched != before[0]
        assert listed == [
            (one.pk, one.name, one.presence) for one in Contact.objects.filter(instance=instance).order_by("name", "pk")
        ]
        assert not cache_runtime.in_flight
