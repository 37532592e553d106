"""The lookup `any_of` finds the same rows as `in`, with one parameter on PostgreSQL."""

from typing import Any

import pytest
from django.db import connection

from conversations.models import StateClock
from tests.conversations.rows import an_instance

pytestmark = pytest.mark.django_db

SUBJECTS = ("instance", "contact:1", 'a "quoted", {b}', "back\\slash", "'; --", "%s", "NULL", "", "Olá 👍")


@pytest.fixture(autouse=True)
def clocks() -> list[StateClock]:
    instance = an_instance()
    return StateClock.objects.bulk_create([StateClock(instance=instance, subject=one) for one in SUBJECTS])


@pytest.mark.parametrize("values", [SUBJECTS, SUBJECTS[:3], ("missing",), (*SUBJECTS[4:], "missing"), ()])
def test_texts(values: tuple[str, ...]) -> None:
    found = StateClock.objects.filter(subject__any_of=set(values)).values_list("subject", flat=True)
    assert set(found) == {*values} & {*SUBJECTS}


def test_numbers(clocks: list[StateClock]) -> None:
    wanted = [row.pk for row in clocks[:3]]
    rows = StateClock.objects.all()
    assert set(rows.filter(pk__any_of=[*wanted, 2**62])) == set(clocks[:3])
    assert set(rows.exclude(pk__any_of=wanted)) == set(clocks[3:])
    assert rows.filter(pk__any_of=wanted).update(clocks={"name": "2:"}) == len(wanted)
    assert set(rows.filter(clocks={"name": "2:"})) == set(clocks[:3])


def test_foreign_keys(clocks: list[StateClock]) -> None:
    other, instance = an_instance(name="other"), clocks[0].instance_id
    row = StateClock.objects.create(instance=other, subject="instance")
    assert set(StateClock.objects.filter(instance__any_of=frozenset({other.pk}))) == {row}
    assert set(StateClock.objects.filter(instance__any_of=(instance, other.pk))) == {*clocks, row}
    assert set(StateClock.objects.filter(instance__name__any_of=["other"])) == {row}


def test_no_values_take_no_query(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        assert not StateClock.objects.filter(instance__any_of=frozenset())


@pytest.mark.skipif(connection.vendor != "postgresql", reason="only PostgreSQL has arrays")
def test_length_of_the_statement() -> None:
    one, many = (StateClock.objects.filter(pk__any_of=range(count)).query.sql_with_params() for count in (1, 1000))
    assert one[0] == many[0]
    assert len(many[1]) == 1


@pytest.mark.skipif(connection.vendor != "postgresql", reason="only PostgreSQL has arrays")
@pytest.mark.parametrize("name", ["pk", "instance", "instance__id"])
def test_the_array_has_the_type_of_the_column(name: str) -> None:
    sql, _ = StateClock.objects.filter(**{f"{name}__any_of": [1, 2]}).query.sql_with_params()
    assert "= ANY(%s::bigint[])" in sql
