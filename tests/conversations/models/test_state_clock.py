"""The clocks of fields that are changed here: later than every clock that is known."""

import pytest
from pytest_django import DjangoAssertNumQueries

from conversations.evolution.envelope import clock_after
from conversations.models import StateClock
from conversations.models.state_clock import Subject
from tests.conversations.rows import an_instance

NOON = 1_772_366_400_000
NOON_CLOCK = "2:2026-03-01T12:00:00.000"


@pytest.mark.parametrize(
    ("known", "clock"),
    [
        ("", NOON_CLOCK),
        ("0:2027-01-01T00:00:00.000", NOON_CLOCK),
        ("00:2027-01-01T00:00:00.000", NOON_CLOCK),
        ("1:2027-01-01T00:00:00.000", NOON_CLOCK),
        ("2:", NOON_CLOCK),
        ("2:2026-03-01T11:59:59.999", NOON_CLOCK),
        (NOON_CLOCK, "2:2026-03-01T12:00:00.001"),
        ("2:2026-03-01T12:04:59.999", "2:2026-03-01T12:05:00.000"),
    ],
)
def test_a_change_is_later_than_what_is_known(known: str, clock: str) -> None:
    assert clock_after(known, NOON) == clock
    assert clock > known


@pytest.mark.django_db
def test_the_clocks_of_many_rows_are_stamped_at_once(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    one, other = an_instance(), an_instance()
    known = StateClock.objects.create(instance=one, subject="direct:1", clocks={"label:7": NOON_CLOCK, "name": "0:"})
    StateClock.objects.create(instance=other, subject="direct:2", clocks={"name": "2:x"})
    subjects = [Subject(one.pk, "direct:1"), Subject(one.pk, "direct:2"), Subject(other.pk, "direct:1")]
    with django_assert_num_queries(3):
        clocks = StateClock.objects.stamp({subject: ["label:7"] for subject in subjects})
    stored = {Subject(row.instance_id, row.subject): row.clocks for row in StateClock.objects.all()}
    assert {subject: stored.pop(subject) for subject in subjects} == clocks
    assert stored == {Subject(other.pk, "direct:2"): {"name": "2:x"}}
    known.refresh_from_db()
    assert known.clocks["label:7"] > NOON_CLOCK
    assert known.clocks["name"] == "0:"
