"""A value that is computed from cached rows and lists is not older than they may be in the shared store."""

from collections.abc import Callable

import pytest

from cachelayer import cache
from cachelayer.read.page import Page
from cachelayer.runtime.runtime import CacheRuntime
from conversations.models import Contact, Instance
from tests.cachelayer.threads import in_another_thread
from tests.conversations.rows import a_contact, an_instance

pytestmark = [pytest.mark.django_db(transaction=True)]

READS: dict[str, Callable[[Contact], str]] = {
    "a row": lambda row: Contact.objects.fetch(row.pk).name,
    "several rows": lambda row: Contact.objects.fetch_many([row.pk])[row.pk].name,
    "a list": lambda row: Contact.objects.for_instance(row.instance_id).rows[0].name,
    "a value": lambda row: cache.fetch("contacts:inner", lambda: row.name, tags=(f"contact:{row.pk}",)),
}


@pytest.fixture
def row(cache_runtime: CacheRuntime) -> Contact:
    """A contact that the local cache holds under its old name, as if an invalidation message had not arrived yet."""
    row = a_contact(an_instance(), name="old")
    for read in READS.values():
        assert read(row) == read(row) == "old"
    local = cache_runtime.local
    contacts = local.namespaces["contacts"]
    old_entries = dict(contacts.entries)
    row.name = "new"
    row.save()
    for key, entry in old_entries.items():
        local.put(contacts, key, entry.load, entry.tags, 60, local.sequence())
    return row


@pytest.mark.parametrize("name", READS)
def test_a_loader_reads_past_the_local_cache(row: Contact, name: str) -> None:
    read = READS[name]
    assert read(row) == "old", "the local cache is not behind, so the test shows nothing"
    tags = (f"contact:{row.pk}", f"contacts:instance:{row.instance_id}")
    assert cache.fetch("contacts:computed", lambda: read(row), tags=tags) == "new"
    assert cache.fetch("contacts:computed", lambda: "not stored", tags=tags) == "new"


def test_a_list_computed_from_rows_reads_past_the_local_cache(row: Contact) -> None:
    page = Contact.objects.fetch_list("contacts:all", lambda: Page([Contact.objects.fetch(row.pk)]))
    assert page.rows[0].name == "new"


def test_a_load_does_not_turn_the_local_cache_off_for_other_threads(cache_runtime: CacheRuntime) -> None:
    row = an_instance()
    Instance.objects.fetch(row.pk)
    local = cache_runtime.local.namespaces["instances"]

    def hits_of_another_thread() -> int:
        before = local.hits
        in_another_thread(lambda: [Instance.objects.fetch(row.pk), cache.get("instances:x")])
        return local.hits - before

    cache.fetch("instances:x", lambda: 1)
    assert cache.fetch("instances:computed", hits_of_another_thread) == 2
    assert hits_of_another_thread() == 2


def test_nested_and_failed_loads_turn_the_local_cache_on_again(cache_runtime: CacheRuntime) -> None:
    row = an_instance()
    Instance.objects.fetch(row.pk)

    def fail() -> int:
        cache.fetch("instances:inner", lambda: Instance.objects.fetch(row.pk).pk)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        cache.fetch("instances:outer", fail)
    before = cache_runtime.local.namespaces["instances"].hits
    Instance.objects.fetch(row.pk)
    assert cache_runtime.local.namespaces["instances"].hits == before + 1
