"""Measures whether so many events wait that the webhook endpoint must reject new events."""

from time import monotonic

from conversations.ingest.conf import Options
from conversations.models import WebhookEvent

REFRESH_SECONDS = 1.0  # how long a measured queue depth is used: measuring costs more than storing an event


class QueueDepth:
    """Compares the number of events that wait to be applied with `Options.queue_limit`, and caches the result."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Drop the cached result, so that the next check measures again."""
        self._measured_at = float("-inf")
        self._is_over = False

    def is_over_limit(self) -> bool:
        """Return whether more than `Options.queue_limit` events wait to be applied.

        Raises:
            DatabaseError, InterfaceError: the query fails.
        """
        if monotonic() - self._measured_at >= REFRESH_SECONDS:
            self.refresh()
        return self._is_over

    def refresh(self) -> None:
        """Measure the queue depth now. Until the query returns, other threads use the previous result.

        Raises:
            DatabaseError, InterfaceError: the query fails.
        """
        self._measured_at = monotonic()
        limit = Options.read().queue_limit
        stored = WebhookEvent.objects.filter(outcome=WebhookEvent.Outcome.STORED).order_by().values("pk")
        self._is_over = len(stored[limit : limit + 1]) > 0


queue_depth = QueueDepth()
