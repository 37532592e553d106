"""Rejects webhook events under load, so that workers apply stored events in time.

Evolution retries events that are rejected with 503 or 429. The status is 503 if more stored events of an instance, or
of all instances, wait than workers can apply soon. The status is 429 if one instance sends too many events of a kind
that only repeats the latest state. Events with chat messages are never rate limited; see docs/decisions/inbox.md.
"""

from django.utils.translation import gettext_noop as _

from conversations.ingest import metrics
from conversations.ingest.conf import Options
from conversations.ingest.event_policy import HISTORY, RATE_LIMITED
from conversations.ingest.inbox.overload import queue_depth
from conversations.models import Instance
from conversations.webhooks.errors import ErrorCode, WebhookError
from logs.token_buckets import TokenBuckets

BURST_SECONDS = 3.0  # an instance may send the events of this many seconds at once


buckets = TokenBuckets(BURST_SECONDS)  # one bucket for each instance's primary key


def check_sender(sender: Instance) -> None:
    """Reject a request before its body is read if no event of its sender could be stored now.

    The body of a global webhook may be about any instance of the server, so only the events of all instances count.

    Raises:
        WebhookError: more stored events wait for workers than the limits allow.
    """
    if queue_depth.is_over_limit(None if sender.is_global_webhook else sender.pk):
        raise _overloaded(sender)


def check_overload(instance: Instance, event: str) -> None:
    """Reject an event if too many stored events of its instance wait; history imports are counted apart.

    Raises:
        WebhookError: more stored events wait for workers than the limits allow.
    """
    if queue_depth.is_over_limit(instance.pk, is_history=event in HISTORY):
        raise _overloaded(instance)


def _overloaded(instance: Instance) -> WebhookError:
    metrics.increment(instance.pk, "overloaded")
    return WebhookError(ErrorCode.OVERLOADED, _("too many events wait to be applied; send it again later"))


def check_rate_limit(instance: Instance, event: str) -> None:
    """Reject an event if its kind is rate limited and its instance exceeds the rate limit.

    Raises:
        WebhookError: the instance exceeds the rate limit.
    """
    if event in RATE_LIMITED and not buckets.take(instance.pk, Options.read().rate_limit):
        metrics.increment(instance.pk, "delayed")
        raise WebhookError(ErrorCode.FLOODING, _("too many %(event)s events at once; send it again later"), event=event)
