"""Rejects webhook events under load, so that workers apply stored events in time.

Evolution retries events that are rejected with 503 or 429. The status is 503 if more stored events wait than workers
can apply soon. The status is 429 if one instance sends too many events of a kind that only repeats the latest state.
Events with chat messages are never rate limited; see docs/decisions/inbox.md.
"""

from conversations.ingest import metrics
from conversations.ingest.conf import Options
from conversations.ingest.event_policy import RATE_LIMITED
from conversations.ingest.inbox.overload import queue_depth
from conversations.models import Instance
from conversations.webhooks.errors import ErrorCode, WebhookError
from logs.token_buckets import TokenBuckets

BURST_SECONDS = 3.0  # an instance may send the events of this many seconds at once


buckets = TokenBuckets(BURST_SECONDS)  # one bucket for each instance's primary key


def check_overload(sender: Instance) -> None:
    """Reject an event if the queue of stored events is too long.

    Raises:
        WebhookError: more stored events are waiting for workers than the limit allows.
    """
    if queue_depth.is_over_limit():
        metrics.increment(sender.pk, "overloaded")
        raise WebhookError(ErrorCode.OVERLOADED, "too many events wait to be applied; send it again later")


def check_rate_limit(instance: Instance, event: str) -> None:
    """Reject an event if its kind is rate limited and its instance exceeds the rate limit.

    Raises:
        WebhookError: the instance exceeds the rate limit.
    """
    if event in RATE_LIMITED and not buckets.take(instance.pk, Options.read().rate_limit):
        metrics.increment(instance.pk, "delayed")
        raise WebhookError(ErrorCode.FLOODING, f"too many {event} events at once; send it again later")
