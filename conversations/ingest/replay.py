"""Events that failed, or were not understood, are let be tried again: by hand, or after an upgrade."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.utils import timezone

from conversations.ingest import wake
from conversations.models import WebhookEvent

if TYPE_CHECKING:
    from django.db.models import QuerySet

Outcome = WebhookEvent.Outcome
REPLAYED = (Outcome.FAILED, Outcome.UNKNOWN, Outcome.FOREIGN)


def again(pks: Iterable[int] | None = None) -> int:
    """Make events due again; return how many.

    Args:
        pks: which of those that came to a bad end; all that failed for None.
    """
    if pks is None:
        return _due(WebhookEvent.objects.filter(outcome=Outcome.FAILED))
    return _due(WebhookEvent.objects.filter(pk__in=list(pks), outcome__in=REPLAYED))


def _due(events: "QuerySet[WebhookEvent]") -> int:
    due = events.update(outcome=Outcome.STORED, attempts=0, due_at=timezone.now(), reason="", done=0, settled_at=None)
    wake.tell()
    return due
