"""Makes failed or unknown events due again, on an operator's request."""

from collections.abc import Iterable

from django.utils import timezone

from conversations.ingest import notify
from conversations.models import WebhookEvent

Outcome = WebhookEvent.Outcome
REPLAYABLE = (Outcome.FAILED, Outcome.UNKNOWN, Outcome.FOREIGN, Outcome.STORED)


def requeue(pks: Iterable[int] | None = None) -> int:
    """Reset events: they become due now, and their attempts count from 0. Return the number of events.

    Args:
        pks: primary keys of the events; applied and ignored events are left out. None selects all failed events.
    """
    if pks is None:
        events = WebhookEvent.objects.filter(outcome=Outcome.FAILED)
    else:
        events = WebhookEvent.objects.filter(pk__in=list(pks), outcome__in=REPLAYABLE)
    count = events.update(outcome=Outcome.STORED, attempts=0, due_at=timezone.now(), reason="", finished_at=None)
    notify.notify()
    return count
