"""Whether so much waits that nothing more should be let in."""

from time import monotonic

from conversations.ingest.conf import Options
from conversations.models import WebhookEvent

REFRESH_SECONDS = 1.0  # seconds; looking costs more than storing an event


class QueueDepth:
    """What waits, as it was seen less than a moment ago."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget what was seen."""
        self._looked_at = float("-inf")
        self._is_over = False

    def is_over_limit(self) -> bool:
        """Whether more than the allowed number of events wait.

        Raises:
            DatabaseError, InterfaceError: the database does not answer.
        """
        if monotonic() - self._looked_at >= REFRESH_SECONDS:
            self.refresh()
        return self._is_over

    def refresh(self) -> None:
        """Look now; meanwhile other threads go by what was seen before.

        Raises:
            DatabaseError, InterfaceError: the database does not answer.
        """
        self._looked_at = monotonic()
        limit = Options.read().queue_limit
        stored = WebhookEvent.objects.filter(outcome=WebhookEvent.Outcome.STORED).order_by().values("pk")
        self._is_over = len(stored[limit : limit + 1]) > 0


queue_depth = QueueDepth()
