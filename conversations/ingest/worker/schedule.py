"""Which instances have something due now, and when the next one will: one query, however much waits.

It walks the index of what waits from one instance to the next, so that it costs a few index entries an instance that
has something, and nothing for the others (https://wiki.postgresql.org/wiki/Loose_indexscan).
"""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.utils import timezone

from conversations.ingest.conf import is_due
from conversations.models import EPOCH, IngestLease, WebhookEvent

_LOOK = """
WITH RECURSIVE waiting (instance_id) AS (
    SELECT MIN(instance_id) FROM {event} WHERE outcome = 'stored'
    UNION ALL
    SELECT (SELECT MIN(instance_id) FROM {event} WHERE outcome = 'stored' AND instance_id > waiting.instance_id)
    FROM waiting WHERE instance_id IS NOT NULL
)
SELECT waiting.instance_id, turn.next_at,
    (SELECT MIN(due_at) FROM {event} WHERE outcome = 'stored' AND instance_id = waiting.instance_id)
FROM waiting LEFT JOIN {turn} AS turn ON turn.instance_id = waiting.instance_id
WHERE waiting.instance_id IS NOT NULL
"""


@dataclass(frozen=True)
class Schedule:
    """`ripe` are the instances whose turn it is, the longest waiting first; more will be in `next_in` seconds."""

    ready: tuple[int, ...]
    next_due_in: float


def find_due(*, ignore_schedule: bool = False) -> Schedule:
    """Look what is due.

    Args:
        hurry: whatever waits is due.

    Raises:
        DatabaseError, InterfaceError: the database does not answer.
    """
    with connection.cursor() as cursor:
        tables = {"event": WebhookEvent._meta.db_table, "turn": IngestLease._meta.db_table}  # noqa: SLF001 - Django's way to it
        cursor.execute(_LOOK.format(**tables))
        rows = cursor.fetchall()
    now = timezone.now()
    waiting = sorted((max(map(_moment, times)), instance) for instance, *times in rows)
    ripe = tuple(instance for since, instance in waiting if ignore_schedule or is_due(since, now))
    later = [(since - now).total_seconds() for since, _ in waiting if not is_due(since, now)]
    return Schedule(ripe, min(later, default=float("inf")))


def _moment(value: Any) -> dt.datetime:
    """Return a time as a plain cursor gives it: in SQLite a computed one is text, and none has a time zone."""
    moment = dt.datetime.fromisoformat(value) if isinstance(value, str) else value or EPOCH
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
