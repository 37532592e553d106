"""What is not taken now, so that what was taken is not late: Evolution tries again after 503 and 429; nothing is lost.

503 while more events wait than workers will soon apply. 429 at an instance that floods: only what it says over and over
is held off so, never a message.
"""

import threading
from time import monotonic

from conversations.ingest import metrics
from conversations.ingest.conf import Options
from conversations.ingest.event_policy import RATE_LIMITED
from conversations.ingest.inbox.overload import queue_depth
from conversations.models import Instance
from conversations.webhooks.errors import ErrorCode, WebhookError

BURST = 3.0  # seconds of the allowed rate that may come at once


class TokenBuckets:
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
            has_one = level >= 1
            self._buckets[instance] = (level - has_one, now)
            return has_one


_buckets = TokenBuckets()


def check_overload(sender: Instance) -> None:
    """Let an event in, unless too many wait.

    Raises:
        Refused: they do.
    """
    if queue_depth.is_over_limit():
        metrics.increment(sender.pk, "overloaded")
        raise WebhookError(ErrorCode.OVERLOADED, "too many events wait to be applied; send it again later")


def check_rate_limit(instance: Instance, event: str) -> None:
    """Let an event in, unless it is one of a flood.

    Raises:
        Refused: it is.
    """
    if event in RATE_LIMITED and not _buckets.take(instance.pk, Options.read().rate_limit):
        metrics.increment(instance.pk, "delayed")
        raise WebhookError(ErrorCode.FLOODING, f"too many {event} at once; send it again later")
