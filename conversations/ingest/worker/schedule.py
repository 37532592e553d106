"""Finds the instances with due events, and the time of the next ones, in one query whatever the queue depth.

The query is a loose index scan (https://wiki.postgresql.org/wiki/Loose_indexscan): it jumps from one instance to the
next in the index of stored events. It reads a few index entries per instance with events, and none for other instances.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.utils import timezone

from conversations.ingest.conf import is_due
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
    """The result of `find_due`.

    Attributes:
        ready: primary keys of the instances with due events, the longest waiting first.
        next_due_in: seconds until another instance becomes ready; infinity if no other has stored events.
    """

    ready: tuple[int, ...]
    next_due_in: float


def find_due(*, ignore_schedule: bool = False) -> Schedule:
    """Find the instances with due events whose batch interval has passed.

    Args:
        ignore_schedule: return every instance with stored events.

    Raises:
        DatabaseError, InterfaceError: the query fails.
    """
    with connection.cursor() as cursor:
        tables = {"event": WebhookEvent._meta.db_table, "lease": IngestLease._meta.db_table}  # noqa: SLF001 - Django documents _meta
        cursor.execute(_FIND_DUE.format(**tables))
        rows = cursor.fetchall()
    now = timezone.now()
    due_times = sorted((max(map(_to_datetime, times)), instance) for instance, *times in rows)
    ready = tuple(instance for due, instance in due_times if ignore_schedule or is_due(due, now))
    later = [(due - now).total_seconds() for due, _ in due_times if not is_due(due, now)]
    return Schedule(ready, min(later, default=float("inf")))


def _to_datetime(value: Any) -> dt.datetime:
    """Convert a time from a raw cursor: SQLite returns computed times as text, without a time zone; NULL is EPOCH."""
    moment = dt.datetime.fromisoformat(value) if isinstance(value, str) else value or EPOCH
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
