"""What is not kept for ever: applied events, and updates whose message never came. Removed in small steps."""

import datetime as dt
from time import monotonic

from django.utils import timezone

from conversations.ingest import counts
from conversations.ingest.conf import Options
from conversations.models import ParkedUpdate, WebhookEvent

STEP = 1000  # rows a step
EVERY = 60.0  # seconds between two looks when there was nothing to remove

# What nobody needs any more; what failed, or was not understood, is for people to look into.
REMOVED = (WebhookEvent.Outcome.APPLIED, WebhookEvent.Outcome.IGNORED)

_next = 0.0


def step(options: Options) -> None:
    """Remove some of what is too old; when there is nothing, do not look again for a minute."""
    global _next  # noqa: PLW0603 - of this process
    if monotonic() < _next:
        return
    removed = remove_events(options.keep_days) + expire_parked(options.park_days)
    _next = 0.0 if removed else monotonic() + EVERY


def remove_events(days: float) -> int:
    """Remove a step of the events that were applied so long ago; return how many."""
    old = WebhookEvent.objects.filter(received_at__lt=_ago(days), outcome__in=REMOVED)
    pks = list(old.order_by("id").values_list("pk", flat=True)[:STEP])
    return WebhookEvent.objects.filter(pk__in=pks).delete()[0] if pks else 0


def expire_parked(days: float) -> int:
    """Remove a step of the updates that have waited so long for their message; return how many, which are counted."""
    old = ParkedUpdate.objects.filter(created_at__lt=_ago(days))
    pks = list(old.order_by("id").values_list("pk", flat=True)[:STEP])
    expired = ParkedUpdate.objects.filter(pk__in=pks).delete()[0] if pks else 0
    counts.add({"expired": expired})
    return expired


def _ago(days: float) -> dt.datetime:
    return timezone.now() - dt.timedelta(days=days)
