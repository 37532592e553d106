"""Reads the present state of the site, from which gauges and alarms are made, with a constant number of queries."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from django.conf import settings
from django.db import connection
from django.db.models import Min, Q
from django.utils import timezone

from cachelayer.runtime.runtime import get_runtime
from cachelayer.write import outbox
from conversations.models import EPOCH, ActiveHour, CheckResult, IngestLease, Instance, RefusalMark, WebhookSubscription
from conversations.monitoring.backlog import Backlog, measure

PROBE = "whatsai-probe"  # the name of the instance that belongs to the probe, which is no number
HOUR = 3600
USUAL_DAYS = (1, 2, 3, 7)  # a number is silent if it had events at this time of day, so many days ago each
MAX_NUMBERS = 1000  # instances that are watched; of more, those with the lowest primary keys

# The earliest committed change that readers do not get yet, because an earlier transaction is still running.
_FEED_LAG = """
SELECT EXTRACT(EPOCH FROM clock_timestamp() - (
    SELECT at FROM conversations_change
    WHERE transaction_id >= pg_snapshot_xmin(pg_current_snapshot())::text::bigint
    ORDER BY transaction_id, id LIMIT 1
))
"""


class Number(NamedTuple):
    """An instance, as its alarms and gauges need it.

    Attributes:
        last_event_at: when events of the instance were last applied; None if never.
        was_paired: whether the instance has been connected to WhatsApp at some time.
        refused_at: when a webhook of the instance was last refused; None if never.
    """

    pk: int
    name: str
    state: str
    last_event_at: dt.datetime | None = None
    was_paired: bool = True
    refused_at: dt.datetime | None = None


@dataclass(frozen=True)
class State:
    """The state of the site at one moment.

    Attributes:
        at: the moment.
        numbers: the instances that exist on Evolution, at most `MAX_NUMBERS`.
        backlog: the events that wait.
        feed_lag: seconds by which readers of the change feed are behind.
        lost_webhooks: the outgoing webhooks that were turned off because deliveries failed.
        outbox: the number of writes that the shared store of the cache has not been told about.
        is_cache_used: whether this process uses the cache: its circuit breaker is closed.
        checks: the last result of each regular check, by its name.
        check_seconds: how often each check runs that is turned on, by its name.
        silent_hours: hours without an event after which a number may be silent; 0 for never.
        active_hours: hours with events at this time of `USUAL_DAYS`, one for each day, for the numbers without events
            for `silent_hours` that had some on all of these days.
    """

    at: dt.datetime = field(default_factory=timezone.now)
    numbers: tuple[Number, ...] = ()
    backlog: Backlog = field(default_factory=Backlog)
    feed_lag: float = 0.0
    lost_webhooks: tuple[str, ...] = ()
    outbox: int = 0
    is_cache_used: bool = True
    checks: dict[str, CheckResult] = field(default_factory=dict)
    check_seconds: dict[str, float] = field(default_factory=dict)
    silent_hours: int = 0
    active_hours: dict[int, frozenset[int]] = field(default_factory=dict)


def read() -> State:
    """Read the state of the site now.

    Raises:
        DatabaseError, InterfaceError: the database is unavailable.
    """
    now, numbers, silent_hours = timezone.now(), _numbers(), settings.ALARM_SILENT_HOURS
    return State(
        at=now,
        numbers=numbers,
        checks=CheckResult.objects.in_bulk(),
        check_seconds=settings.MONITORING_CHECKS,
        silent_hours=silent_hours,
        active_hours=active_hours(numbers, now, silent_hours) if silent_hours else {},
        backlog=measure(),
        feed_lag=_feed_lag(),
        lost_webhooks=tuple(map(str, WebhookSubscription.objects.turned_off().order_by("pk"))),
        outbox=outbox.pending_count(),
        is_cache_used=get_runtime().breaker.is_closed,
    )


def _numbers() -> tuple[Number, ...]:
    refused_at = dict(RefusalMark.objects.values_list("pk", "grew_at"))
    applied_at = dict(IngestLease.objects.filter(next_at__gt=EPOCH).values_list("pk", "next_at"))
    rows = Instance.objects.filter(is_removed=False).exclude(name=PROBE, server_url="").order_by("pk")
    return tuple(
        Number(pk, name, state, applied_at.get(pk), bool(owner), refused_at.get(pk))
        for pk, name, state, owner in rows.values_list("pk", "name", "state", "owner_jid")[:MAX_NUMBERS]
    )


def hour_of(moment: dt.datetime) -> int:
    """Return the hour of a moment, counted from the epoch."""
    return int(moment.timestamp()) // HOUR


def usual_hours(now: dt.datetime, silent_hours: int) -> list[frozenset[int]]:
    """Return the hours before the same time of `USUAL_DAYS`, as hours since the epoch, a set for each day."""
    return [frozenset(hour_of(now) - 24 * day - before for before in range(silent_hours)) for day in USUAL_DAYS]


def active_hours(numbers: Iterable[Number], now: dt.datetime, silent_hours: int) -> dict[int, frozenset[int]]:
    """Return `State.active_hours`. The database looks at few hours, because at night all numbers may be quiet."""
    before = now - dt.timedelta(hours=silent_hours)
    quiet = {number.pk for number in numbers if number.last_event_at is not None and number.last_event_at < before}
    if not quiet:
        return {}
    days = usual_hours(now, silent_hours)
    firsts = {f"hour_{day}": Min("hour", filter=Q(hour__in=hours)) for day, hours in enumerate(days)}
    rows = ActiveHour.objects.filter(hour__in=frozenset().union(*days)).values_list("instance").annotate(**firsts)
    complete = rows.filter(**{f"{name}__isnull": False for name in firsts}).order_by()
    return {pk: frozenset(hours) for pk, *hours in complete if pk in quiet}


def _feed_lag() -> float:
    if connection.vendor != "postgresql":
        return 0.0  # one transaction writes at a time, so each change is readable when it is committed
    with connection.cursor() as cursor:
        cursor.execute(_FEED_LAG)
        return max(0.0, float(cursor.fetchone()[0] or 0.0))
