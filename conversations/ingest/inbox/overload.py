"""Measures how many events wait, and decides whether the webhook endpoint must reject new events of an instance.

New events and the parts of history imports are two queues, because workers apply an import slowly beside new events.
An instance may have as many waiting events in a queue as other events still fit into the queue. So an instance alone
uses half of a queue, and however many events one instance posts, there is room for the events of others.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic

from django.db import connection

from conversations.ingest.conf import Options
from conversations.models import WebhookEvent

REFRESH_SECONDS = 1.0  # how long a measured queue depth is used: measuring costs more than storing an event

# The index `event_queue` contains all columns of the query. The number of counted events is limited.
_COUNT = """
SELECT instance_id, COUNT(*)
FROM (SELECT instance_id FROM {event} WHERE outcome = 'stored' AND is_history = %s LIMIT %s) AS waiting
GROUP BY instance_id
"""


@dataclass(frozen=True)
class Queue:
    """The waiting events of a kind, as they were last counted.

    Attributes:
        free: number of events that still fit into the queue; negative if more wait than the limit.
        waiting: instance's primary key → number of its waiting events.
    """

    free: int = 0
    waiting: Mapping[int, int] = field(default_factory=dict)

    def has_room(self, instance: int | None) -> bool:
        """Return whether an instance may add an event; None stands for an instance without waiting events."""
        return (0 if instance is None else self.waiting.get(instance, 0)) <= self.free


class QueueDepth:
    """Counts the waiting events of each instance, and caches the counts."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Drop the cached counts, so that the next check measures again."""
        self._measured_at = float("-inf")
        self._new, self._history = Queue(), Queue()

    def is_over_limit(self, instance: int | None, *, is_history: bool = False) -> bool:
        """Return whether so many events wait that an instance may not add one.

        Args:
            instance: the instance's primary key; None stands for an instance without waiting events.
            is_history: whether the event is part of a history import; imports have a separate queue.

        Raises:
            DatabaseError, InterfaceError: the query fails.
        """
        if monotonic() - self._measured_at >= REFRESH_SECONDS:
            self.refresh()
        return not (self._history if is_history else self._new).has_room(instance)

    def refresh(self) -> None:
        """Measure both queues now. Until the queries return, other threads use the previous result.

        Raises:
            DatabaseError, InterfaceError: a query fails.
        """
        self._measured_at = monotonic()
        limit = Options.read().queue_limit
        self._new, self._history = (_measure(limit, is_history=is_history) for is_history in (False, True))


def _measure(limit: int, *, is_history: bool) -> Queue:
    with connection.cursor() as cursor:
        table = WebhookEvent._meta.db_table  # noqa: SLF001 - Django documents the attribute _meta
        cursor.execute(_COUNT.format(event=table), [is_history, limit + 1])
        waiting = dict(cursor.fetchall())
    return Queue(limit - sum(waiting.values()), waiting)


queue_depth = QueueDepth()
