"""Rejects events under load, so that stored ones are applied in time. Evolution retries after 503 and 429.

503: the queue is longer than workers can apply soon. 429: one instance sends too many repeated states. Only events
that repeat a latest state are limited, never messages; see docs/decisions/inbox.md.
"""

import threading
from time import monotonic

from conversations.ingest import metrics
from conversations.ingest.conf import Options
from conversations.ingest.event_policy import RATE_LIMITED
from conversations.ingest.inbox.overload import queue_depth
from conversations.models import Instance
from conversations.webhooks.errors import ErrorCode, WebhookError

BURST_SECONDS = 3.0  # a full bucket holds the events of this time at the allowed rate


class TokenBuckets:
    """One token bucket per instance. It fills at the allowed rate, and each event takes one token."""

    def __init__(self) -> None:
        self._buckets: dict[int, tuple[float, float]] = {}  # instance → (tokens, when they were counted)
        self._lock = threading.Lock()

    def take(self, instance: int, rate: float) -> bool:
        """Take one token; return whether there was one.

        Args:
            instance: its primary key.
            rate: tokens per second.
        """
        now = monotonic()
        with self._lock:
            tokens, counted_at = self._buckets.get(instance, (rate * BURST_SECONDS, now))
            tokens = min(tokens + (now - counted_at) * rate, rate * BURST_SECONDS)
            has_token = tokens >= 1
            self._buckets[instance] = (tokens - has_token, now)
            return has_token


buckets = TokenBuckets()


def check_overload(sender: Instance) -> None:
    """Check that the queue is not too long.

    Raises:
        WebhookError: more events are waiting than the limit allows.
    """
    if queue_depth.is_over_limit():
        metrics.increment(sender.pk, "overloaded")
        raise WebhookError(ErrorCode.OVERLOADED, "too many events wait to be applied; send it again later")


def check_rate_limit(instance: Instance, event: str) -> None:
    """Check that the instance does not exceed the rate limit, if the event is subject to it.

    Raises:
        WebhookError: the instance exceeds it.
    """
    if event in RATE_LIMITED and not buckets.take(instance.pk, Options.read().rate_limit):
        metrics.increment(instance.pk, "delayed")
        raise WebhookError(ErrorCode.FLOODING, f"too many {event} events at once; send it again later")
