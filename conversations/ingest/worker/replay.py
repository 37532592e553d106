"""Events that failed, or were not understood, are let be tried again: by hand, or after an upgrade."""

from collections.abc import Iterable

from django.utils import timezone

from conversations.ingest import notify
from conversations.models import WebhookEvent

Outcome = WebhookEvent.Outcome
REPLAYED = (Outcome.FAILED, Outcome.UNKNOWN, Outcome.FOREIGN)


def requeue(pks: Iterable[int] | None = None) -> int:
    """Make events due now; return how many.

    Args:
        pks: which of those that came to a bad end, or wait for their next try; all that failed for None.
    """
    if pks is None:
        events = WebhookEvent.objects.filter(outcome=Outcome.FAILED)
    else:
        events = WebhookEvent.objects.filter(pk__in=list(pks), outcome__in=(*REPLAYED, Outcome.STORED))
    due = events.update(outcome=Outcome.STORED, attempts=0, due_at=timezone.now(), reason="", finished_at=None)
    notify.notify()
    return due
