import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from pytest_django import DjangoAssertNumQueries

from cachelayer import Page
from conversations.models import Contact, Instance
from tests.conversations.rows import a_contact, an_instance

pytestmark = pytest.mark.django_db

UNKNOWN_IDS = [0, -1, 10**9, 2**63, 10**30]


# --- rows -------------------------------------------------------------------------------------------------------------
def test_fetch_returns_the_row() -> None:
    instance = an_instance()
    assert Instance.objects.fetch(instance.pk) == instance


@pytest.mark.usefixtures("cache_runtime")
@pytest.mark.django_db(transaction=True)
def test_a_cached_row_needs_no_query(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    row = an_instance()
    Instance.objects.fetch(row.pk)
    for fresh in (False, True):
        with django_assert_num_queries(0):
            assert Instance.objects.fetch(row.pk, fresh=fresh) == row


@pytest.mark.parametrize("pk", UNKNOWN_IDS)
def test_fetch_of_an_unknown_row_raises_does_not_exist(pk: int) -> None:
    with pytest.raises(Instance.DoesNotExist):
        Instance.objects.fetch(pk)


@pytest.mark.usefixtures("cache_runtime")
@pytest.mark.django_db(transaction=True)
def test_a_missing_row_is_cached_until_it_is_inserted(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    pk = an_instance().pk + 1
    for number in (1, 0, 0):
        with django_assert_num_queries(number), pytest.raises(Instance.DoesNotExist):
            Instance.objects.fetch(pk)
    row = an_instance()
    if row.pk == pk:  # unless the database has skipped a primary key
        assert Instance.objects.fetch(pk) == row


def test_fetch_many_returns_the_rows_that_exist_in_the_order_of_the_keys() -> None:
    instance = an_instance()
    one, two, three = (a_contact(instance) for _ in range(3))
    rows = Contact.objects.fetch_many([three.pk, 10**9, one.pk, three.pk])
    assert list(rows.items()) == [(three.pk, three), (one.pk, one)]
    assert two.pk not in rows


def test_fetch_many_needs_one_query(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    instance = an_instance()
    pks = [a_contact(instance).pk for _ in range(20)]
    with django_assert_num_queries(1):
        assert len(Contact.objects.fetch_many(pks)) == 20


@pytest.mark.parametrize("pk", UNKNOWN_IDS)
def test_fetch_many_leaves_out_unknown_rows(pk: int) -> None:
    instance = an_instance()
    assert list(Instance.objects.fetch_many([pk, instance.pk])) == [instance.pk]


@pytest.mark.parametrize("convert", [float, str, Decimal], ids=["float", "text", "decimal"])
@pytest.mark.usefixtures("cache_runtime")
@pytest.mark.django_db(transaction=True)
def test_a_primary_key_of_another_type_creates_no_entry_that_writes_would_miss(convert: Callable[[int], Any]) -> None:
    instance = an_instance(profile_name="old")
    rows = Instance.objects.fetch_many([convert(instance.pk)])
    assert list(rows) == [instance.pk]
    assert [type(pk) for pk in rows] == [int]
    instance.profile_name = "new"
    instance.save()
    assert Instance.objects.fetch(instance.pk).profile_name == "new"


@pytest.mark.usefixtures("cache_runtime")
@pytest.mark.django_db(transaction=True)
def test_coroutines_can_fetch_and_save() -> None:
    row = an_instance(profile_name="old")

    async def read_and_save() -> list[str]:
        try:
            before = await Instance.objects.afetch(row.pk)
            row.profile_name = "new"
            await row.asave()
            after = [await Instance.objects.afetch(row.pk), await sync_to_async(Instance.objects.fetch)(row.pk)]
        finally:
            await sync_to_async(connections.close_all)()
        return [one.profile_name for one in (before, *after)]

    assert Instance.objects.fetch(row.pk).profile_name == "old"
    assert asyncio.run(read_and_save()) == ["old", "new", "new"]


# --- pages ------------------------------------------------------------------------------------------------------------
def test_a_page_starts_where_the_previous_one_ended() -> None:
    instance = an_instance()
    names = ["Ana", "Bia", "Bia", "Caio", "Davi"]
    for name in names:
        a_contact(instance, name=name)
    tag = f"contacts:instance:{instance.pk}"

    def read(cursor: str) -> Page[Contact]:
        rows = Contact.objects.filter(instance=instance)
        return Contact.objects.fetch_page(tag, lambda: rows, ("name", "id"), cursor=cursor, limit=3)

    first = read("")
    second = read(first.next_cursor)
    assert [row.name for row in (*first.rows, *second.rows)] == names
    assert second.next_cursor == ""
    assert read(second.previous_cursor).rows == first.rows


# --- managers that are not cached -------------------------------------------------------------------------------------
@pytest.mark.usefixtures("cache_runtime")
@pytest.mark.django_db(transaction=True)
def test_related_managers_and_those_of_a_chosen_database_read_the_database(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    row = an_instance()
    Instance.objects.fetch(row.pk)
    with django_assert_num_queries(2):
        Instance.objects.db_manager("default").fetch(row.pk)
        Instance.objects.db_manager("default").fetch(row.pk)
    contact, unrelated = a_contact(row), a_contact(an_instance())
    Contact.objects.fetch_many([contact.pk, unrelated.pk])
    assert list(row.contacts.fetch_many([contact.pk, unrelated.pk])) == [contact.pk]
    with pytest.raises(Contact.DoesNotExist):
        row.contacts.fetch(unrelated.pk)
