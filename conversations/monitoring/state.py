"""Reads the present state of the site, from which gauges and alarms are made, with a constant number of queries."""

import datetime as dt
from dataclasses import dataclass, field
from typing import NamedTuple

from django.db import connection
from django.utils import timezone

from cachelayer.runtime.runtime import get_runtime
from cachelayer.write import outbox
from conversations.models import EPOCH, IngestLease, Instance
from conversations.monitoring.backlog import Backlog, measure

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
    """

    pk: int
    name: str
    state: str
    last_event_at: dt.datetime | None = None
    was_paired: bool = True


@dataclass(frozen=True)
class State:
    """The state of the site at one moment.

    Attributes:
        at: the moment.
        numbers: the instances that exist on Evolution, at most `MAX_NUMBERS`.
        backlog: the events that wait.
        feed_lag: seconds by which readers of the change feed are behind.
        outbox: the number of writes that the shared store of the cache has not been told about.
        is_cache_used: whether this process uses the cache: its circuit breaker is closed.
    """

    at: dt.datetime = field(default_factory=timezone.now)
    numbers: tuple[Number, ...] = ()
    backlog: Backlog = field(default_factory=Backlog)
    feed_lag: float = 0.0
    outbox: int = 0
    is_cache_used: bool = True


def read() -> State:
    """Read the state of the site now.

    Raises:
        DatabaseError, InterfaceError: the database is unavailable.
    """
    return State(
        numbers=_numbers(),
        backlog=measure(),
        feed_lag=_feed_lag(),
        outbox=outbox.pending_count(),
        is_cache_used=get_runtime().breaker.is_closed,
    )


def _numbers() -> tuple[Number, ...]:
    applied_at = dict(IngestLease.objects.filter(next_at__gt=EPOCH).values_list("pk", "next_at"))
    rows = Instance.objects.filter(is_removed=False).order_by("pk").values_list("pk", "name", "state", "owner_jid")
    return tuple(
        Number(pk, name, state, applied_at.get(pk), bool(owner)) for pk, name, state, owner in rows[:MAX_NUMBERS]
    )


def _feed_lag() -> float:
    if connection.vendor != "postgresql":
        return 0.0  # one transaction writes at a time, so each change is readable when it is committed
    with connection.cursor() as cursor:
        cursor.execute(_FEED_LAG)
        return max(0.0, float(cursor.fetchone()[0] or 0.0))
