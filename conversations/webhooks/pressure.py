"""What is not taken now, so that what was taken is not late: Evolution tries again after 503 and 429; nothing is lost.

503 while more events wait than workers will soon apply. 429 at an instance that floods: only what carries a latest
state is held back so, never a message.
"""

import threading
from time import monotonic

from conversations.ingest import counts
from conversations.ingest.conf import Options
from conversations.ingest.policy import LATEST_STATE
from conversations.models import Instance, WebhookEvent
from conversations.webhooks.refusals import Reason, Refused

LOOK_EVERY = 1.0  # seconds; counting what waits costs more than an event
BURST = 3.0  # seconds of the allowed rate that may come at once


class Backlog:
    """Whether too much waits, looked at now and then."""

    def __init__(self) -> None:
        self._looked_at = -LOOK_EVERY
        self._is_over = False

    def is_over(self, limit: int) -> bool:
        """Whether more than so many events wait.

        Raises:
            DatabaseError: the database does not answer.
        """
        now = monotonic()
        if now - self._looked_at >= LOOK_EVERY:
            self._looked_at = now
            waiting = WebhookEvent.objects.filter(outcome="stored").order_by().values("pk")
            self._is_over = len(waiting[limit : limit + 1]) > 0
        return self._is_over


class Buckets:
    """A token bucket an instance: it fills at the allowed rate, and each event takes one out."""

    def __init__(self) -> None:
        self._buckets: dict[int, tuple[float, float]] = {}  # how full, and when
        self._lock = threading.Lock()

    def take(self, instance: int, rate: float) -> bool:
        """Take one out; return whether there was one."""
        now = monotonic()
        with self._lock:
            level, then = self._buckets.get(instance, (rate * BURST, now))
            level = min(level + (now - then) * rate, rate * BURST)
            self._buckets[instance] = (max(level - 1, 0.0), now)
            return level >= 1


_backlog = Backlog()
_buckets = Buckets()


def refuse_overload() -> None:
    """Let an event in, unless too many wait.

    Raises:
        Refused: they do.
    """
    if _backlog.is_over(Options.read().backlog):
        raise Refused(Reason.OVERLOADED, "too many events wait to be applied; send it again later")


def refuse_flood(instance: Instance, event: str) -> None:
    """Let an event in, unless it is one of a flood.

    Raises:
        Refused: it is.
    """
    counts.add({"received": 1})
    if event in LATEST_STATE and not _buckets.take(instance.pk, Options.read().flood):
        counts.add({"delayed": 1})
        raise Refused(Reason.FLOODING, f"too many {event} at once; send it again later")
