"""The state that gauges and alarms are made of is what the database contains."""

import datetime as dt
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from conversations.models import ActiveHour, IngestLease, Instance, WebhookEvent
from conversations.monitoring import backlog, state
from tests.conversations.rows import an_instance
from tests.effort import effort

pytestmark = pytest.mark.django_db

MINUTE, DAY = dt.timedelta(minutes=1), dt.timedelta(days=1)


def an_event(instance: Instance, late: dt.timedelta, **fields: Any) -> WebhookEvent:
    digest = str(WebhookEvent.objects.count())
    due_at = timezone.now() - late
    return WebhookEvent.objects.create(instance=instance, name="x", payload={}, digest=digest, due_at=due_at, **fields)


def test_nothing_waits_in_an_empty_database() -> None:
    found = state.read()
    assert (found.numbers, found.backlog, found.feed_lag, found.outbox) == ((), (0, 0.0, 0), 0.0, 0)
    assert found.is_cache_used


def test_the_backlog_has_no_imports_and_nothing_that_is_done() -> None:
    one, other = an_instance(), Instance.objects.create(name="other")
    an_event(one, 5 * MINUTE, outcome="applied")
    an_event(one, 4 * MINUTE, is_history=True)
    an_event(other, 3 * MINUTE)
    an_event(one, 2 * MINUTE)
    an_event(one, 9 * MINUTE, outcome="failed")
    waiting, late, failed = backlog.measure()
    assert (waiting, failed) == (2, 1)
    assert late == pytest.approx(180, abs=60)


def test_an_event_that_is_retried_later_is_not_late() -> None:
    an_event(an_instance(), -MINUTE)
    assert backlog.measure() == (1, 0.0, 0)


def test_numbers_are_those_that_exist_on_evolution() -> None:
    seen_at = timezone.now() - MINUTE
    connected = Instance.objects.create(name="a", state="open", owner_jid="5511@s.whatsapp.net")
    IngestLease.objects.create(pk=connected.pk, next_at=seen_at)
    new = Instance.objects.create(name="b", state="connecting")
    Instance.objects.create(name="c", is_removed=True)
    assert state.read().numbers == (
        state.Number(connected.pk, "a", "open", seen_at, was_paired=True),
        state.Number(new.pk, "b", "connecting", None, was_paired=False),
    )


@pytest.mark.postgresql
def test_the_feed_is_behind_while_a_transaction_is_open() -> None:
    with transaction.atomic():
        an_instance()
        assert state.read().feed_lag > 0


# --- the hours of silent numbers --------------------------------------------------------------------------------------
@given(hours=st.sets(st.integers(0, state.USUAL_DAYS[-1] * 24 + 30), max_size=12), silent_hours=st.integers(1, 24))
@settings(max_examples=effort(25, 500))
def test_a_number_is_silent_if_it_had_events_at_this_time_of_all_usual_days(hours: set[int], silent_hours: int) -> None:
    now, number = timezone.now(), Instance.objects.first() or an_instance()
    active = {state.hour_of(now) - hour for hour in hours}
    ActiveHour.objects.all().delete()
    ActiveHour.objects.bulk_create(ActiveHour(instance=number, hour=hour) for hour in active)
    numbers = [
        state.Number(number.pk, "a", "open", now - 2 * DAY),
        state.Number(number.pk + 1, "b", "open", now - 2 * DAY),
    ]
    found = state.active_hours(numbers, now, silent_hours)
    days = state.usual_hours(now, silent_hours)
    assert found.keys() == ({number.pk} if all(active & day for day in days) else set())
    for read in found.values():
        assert len(read) <= len(days)
        assert all(read & active & day for day in days)


def test_the_hours_of_busy_numbers_are_not_read(django_assert_num_queries: Any) -> None:
    now = timezone.now()
    busy = state.Number(1, "a", "open", now - MINUTE)
    with django_assert_num_queries(0):
        assert state.active_hours([busy], now, 3) == {}
