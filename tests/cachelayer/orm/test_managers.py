from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from cachelayer import Page
from conversations.models import Contact, Instance
from tests.conversations.rows import a_contact, an_instance

pytestmark = pytest.mark.django_db

NOWHERE = [0, -1, 10**9, 2**63, 10**30]


def test_fetch_gives_the_row() -> None:
    instance = an_instance()
    assert Instance.objects.fetch(instance.pk) == instance


@pytest.mark.parametrize("pk", NOWHERE)
def test_fetch_of_an_unknown_row_raises_does_not_exist(pk: int) -> None:
    with pytest.raises(Instance.DoesNotExist):
        Instance.objects.fetch(pk)


def test_fetch_many_gives_the_rows_that_exist_in_the_order_asked_for() -> None:
    instance = an_instance()
    one, two, three = (a_contact(instance) for _ in range(3))
    found = Contact.objects.fetch_many([three.pk, 10**9, one.pk, three.pk])
    assert list(found.items()) == [(three.pk, three), (one.pk, one)]
    assert two.pk not in found


def test_fetch_many_is_one_query_however_many(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    instance = an_instance()
    pks = [a_contact(instance).pk for _ in range(20)]
    with django_assert_num_queries(1):
        assert len(Contact.objects.fetch_many(pks)) == 20


@pytest.mark.parametrize("pk", NOWHERE)
def test_fetch_many_leaves_out_what_cannot_be_there(pk: int) -> None:
    instance = an_instance()
    assert list(Instance.objects.fetch_many([pk, instance.pk])) == [instance.pk]


def test_a_page_starts_where_the_one_before_ended() -> None:
    instance = an_instance()
    names = ["Ana", "Bia", "Bia", "Caio", "Davi"]
    for name in names:
        a_contact(instance, name=name)
    tag = f"contacts:instance:{instance.pk}"

    def read(cursor: str) -> Page[Contact]:
        rows = partial(Contact.objects.filter, instance=instance)
        return Contact.objects.fetch_page(tag, rows, ("name", "id"), cursor=cursor, limit=3)

    first = read("")
    second = read(first.next_cursor)
    assert [row.name for row in (*first.rows, *second.rows)] == names
    assert (first.previous_cursor, second.next_cursor) == ("", "")


@pytest.mark.parametrize("odd", [float, str, Decimal], ids=["float", "text", "decimal"])
@pytest.mark.usefixtures("cache_runtime")
@pytest.mark.django_db(transaction=True)
def test_a_key_of_another_type_leaves_nothing_behind_that_no_write_touches(odd: Callable[[int], Any]) -> None:
    instance = an_instance(profile_name="old")
    found = Instance.objects.fetch_many([odd(instance.pk)])
    assert list(found) == [instance.pk]
    assert [type(pk) for pk in found] == [int]
    instance.profile_name = "new"
    instance.save()
    assert Instance.objects.fetch(instance.pk).profile_name == "new"
