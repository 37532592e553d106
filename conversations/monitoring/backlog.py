"""Measures the events that wait, without imports, which are slow on purpose. Its cost does not grow with them."""

import datetime as dt
from typing import Any, NamedTuple

from django.db import connection
from django.utils import timezone

from conversations.models import WebhookEvent

MAX_COUNTED = 10_000  # events that a query counts at most

_COUNT = """
SELECT COUNT(*) FROM (SELECT 1 FROM {event} WHERE outcome = 'stored' AND NOT is_history LIMIT %s) AS counted
"""
# A loose index scan: the earliest due event of each instance with stored events, and then the earliest of these.
_EARLIEST = """
WITH RECURSIVE waiting (instance_id) AS (
    SELECT MIN(instance_id) FROM {event} WHERE outcome = 'stored' AND NOT is_history
    UNION ALL
    SELECT (
        SELECT MIN(instance_id) FROM {event}
        WHERE outcome = 'stored' AND NOT is_history AND instance_id > waiting.instance_id
    )
    FROM waiting WHERE instance_id IS NOT NULL
)
SELECT MIN((
    SELECT due_at FROM {event}
    WHERE outcome = 'stored' AND instance_id = waiting.instance_id AND NOT is_history
    ORDER BY due_at LIMIT 1
)) FROM waiting WHERE instance_id IS NOT NULL
"""


class Backlog(NamedTuple):
    """The events that wait.

    Attributes:
        waiting: the number of new events that are stored and not applied, at most `MAX_COUNTED`.
        late: seconds since the earliest due time of these.
        failed: the number of events that used up their attempts, at most `MAX_COUNTED`.
    """

    waiting: int = 0
    late: float = 0.0
    failed: int = 0


def measure() -> Backlog:
    """Measure the events that wait.

    Raises:
        DatabaseError, InterfaceError: a query fails.
    """
    due = _value(_EARLIEST)
    moment = dt.datetime.fromisoformat(due) if isinstance(due, str) else due
    if moment is not None and moment.tzinfo is None:  # SQLite returns texts without a time zone
        moment = moment.replace(tzinfo=dt.UTC)
    late = 0.0 if moment is None else max(0.0, (timezone.now() - moment).total_seconds())
    waiting = _value(_COUNT, MAX_COUNTED)
    return Backlog(waiting, late, WebhookEvent.objects.filter(outcome="failed")[:MAX_COUNTED].count())


def _value(statement: str, *values: int) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(statement.format(event=WebhookEvent._meta.db_table), values)  # noqa: SLF001 - Django documents _meta
        return cursor.fetchone()[0]
