"""Finds the instances with due events, and the time at which the next instance becomes due, with one cheap query.

The SQL query is a loose index scan (https://wiki.postgresql.org/wiki/Loose_indexscan), which jumps from one instance to
the next in the index of stored events. The query reads a few index entries for each instance with stored events,
however many events an instance has.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.utils import timezone

from conversations.db.due_times import is_due
from conversations.ingest.conf import Options
from conversations.models import EPOCH, IngestLease, WebhookEvent

_FIND_DUE = """
WITH RECURSIVE waiting (instance_id) AS (
    SELECT MIN(instance_id) FROM {event} WHERE outcome = 'stored'
    UNION ALL
    SELECT (SELECT MIN(instance_id) FROM {event} WHERE outcome = 'stored' AND instance_id > waiting.instance_id)
    FROM waiting WHERE instance_id IS NOT NULL
)
SELECT waiting.instance_id, lease.next_at,
    (SELECT MIN(due_at) FROM {event} WHERE outcome = 'stored' AND instance_id = waiting.instance_id)
FROM waiting LEFT JOIN {lease} AS lease ON lease.instance_id = waiting.instance_id
WHERE waiting.instance_id IS NOT NULL
"""


@dataclass(frozen=True)
class Schedule:
    """Which instances a worker can serve now, and when another instance becomes ready.

    Attributes:
        ready: primary keys of the instances with due events; the instance that waits longest comes first.
        next_due_in: seconds until another instance becomes ready; infinity if no other instance has stored events.
    """

    ready: tuple[int, ...]
    next_due_in: float


def find_due(options: Options, *, ignore_schedule: bool = False) -> Schedule:
    """Find the instances with due events whose batch interval has passed.

    Args:
        options: how far ahead a due time can be.
        ignore_schedule: find all instances with stored events, even if none of their events is due yet.

    Raises:
        DatabaseError, InterfaceError: the query fails.
    """
    with connection.cursor() as cursor:
        tables = {"event": WebhookEvent._meta.db_table, "lease": IngestLease._meta.db_table}  # noqa: SLF001 - Django documents _meta
        cursor.execute(_FIND_DUE.format(**tables))
        rows = cursor.fetchall()
    now, limit = timezone.now(), options.skew_limit
    due_times = sorted((max(map(_to_datetime, times)), instance) for instance, *times in rows)
    ready = tuple(instance for due, instance in due_times if ignore_schedule or is_due(due, now, limit))
    later = [(due - now).total_seconds() for due, _ in due_times if not is_due(due, now, limit)]
    return Schedule(ready, min(later, default=float("inf")))


def _to_datetime(value: Any) -> dt.datetime:
    """Convert a time from a raw SQL cursor: a datetime, the text without time zone that SQLite returns, or None."""
    moment = dt.datetime.fromisoformat(value) if isinstance(value, str) else value or EPOCH
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
