"""What is not kept for ever: applied events, and updates whose message never came. Removed in small steps."""

import datetime as dt
from collections import Counter
from time import monotonic
from typing import TypeVar

from django.db import connection, transaction
from django.db.models import Exists, Model, OuterRef, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone

from conversations.ingest import metrics
from conversations.ingest.conf import Options
from conversations.models import Message, PendingUpdate, WebhookEvent

STEP_ROWS = 1000  # rows
STEP_SECONDS = 1.0  # seconds between two steps
IDLE_SECONDS = 60.0  # when there was nothing to remove

# What nobody needs any more; what failed, or was not understood, is for people to look into.
REMOVED = (WebhookEvent.Outcome.APPLIED, WebhookEvent.Outcome.IGNORED)

Row = TypeVar("Row", bound=Model)


class Retention:
    """Removes what is too old, a step now and then."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._next = monotonic()

    def step(self) -> None:
        """Remove some, if it is time to.

        Raises:
            DatabaseError, InterfaceError: the database does not answer.
        """
        if monotonic() >= self._next:
            removed = remove_events(self._options.keep_days) + expire_pending_updates(self._options.pending_days)
            self._next = monotonic() + (STEP_SECONDS if removed else IDLE_SECONDS)


def remove_events(days: float) -> int:
    """Remove a step of the events that were applied so long ago; return how many."""
    before = _ago(days)
    return sum(_remove(WebhookEvent.objects.filter(outcome=outcome), before) for outcome in REMOVED)


def _remove(events: "QuerySet[WebhookEvent]", before: dt.datetime) -> int:
    """Remove a step of those settled before a moment, the first that came first; pass over those tried again since."""
    after = 0
    while True:
        step = list(events.filter(pk__gt=after).order_by("pk").values_list("pk", "received_at")[:STEP_ROWS])
        old = WebhookEvent.objects.filter(pk__in=[pk for pk, _ in step])
        removed = old.alias(at=Coalesce("finished_at", "received_at")).filter(at__lt=before).delete()[0]
        if removed or not step or step[-1][1] >= before:
            return removed
        after = step[-1][0]


def expire_pending_updates(days: float) -> int:
    """Remove a step of the updates that have waited so long; return how many.

    Those whose message has never come are counted. The others were applied, and waited for another it could mean.
    """
    skips = connection.features.has_select_for_update_skip_locked
    with transaction.atomic():
        old = _oldest(PendingUpdate.objects.all()).filter(created_at__lt=_ago(days))
        mine = old.select_for_update(skip_locked=skips).order_by("pk").values_list("pk", flat=True)
        rows = PendingUpdate.objects.filter(pk__in=list(mine))
        message = Message.objects.filter(instance=OuterRef("instance"), key_id=OuterRef("key_id"))
        missed = Counter(rows.filter(~Exists(message)).values_list("instance", flat=True))
        metrics.add_to_totals({(instance, "expired"): times for instance, times in missed.items()})
        return rows.delete()[0]


def _oldest(rows: "QuerySet[Row]") -> "QuerySet[Row]":
    """Return the rows that came first, by number, which is read off an index: if none of them is too old, none is."""
    return rows.filter(pk__in=list(rows.order_by("pk").values_list("pk", flat=True)[:STEP_ROWS]))


def _ago(days: float) -> dt.datetime:
    return timezone.now() - dt.timedelta(days=days)
