"""Deletes old applied events, pending updates whose message never came, and old media files, in small steps.

The steps also compact the tally of conversations (`conversations.models.conversation_tally`).

A step skips rows that another transaction has locked, so that it never waits while it holds locks: it cannot deadlock
with a worker, or with a web process that receives an old event again. A later step deletes the skipped rows.
"""

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
from conversations.ingest.worker.media_retention import MediaRetention
from conversations.models import ConversationTally, Message, PendingUpdate, WebhookEvent

STEP_ROWS = 1000  # maximum number of rows that one DELETE statement removes
STEP_SECONDS = 1.0  # seconds to pause after a step that deleted rows
IDLE_SECONDS = 60.0  # seconds to pause after a step that found nothing to delete

# Failed, unknown and foreign events are kept until an operator replays or deletes them.
DELETED_OUTCOMES = (WebhookEvent.Outcome.APPLIED, WebhookEvent.Outcome.IGNORED)

Row = TypeVar("Row", bound=Model)


class Retention:
    """Deletes old events, pending updates and media files in small steps, with a pause after each step."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._media = MediaRetention(options.media_keep_days or None)
        self._next_at = monotonic()

    def step(self) -> None:
        """Run one deletion step if the pause after the previous step is over.

        Raises:
            DatabaseError, InterfaceError: an SQL statement fails.
        """
        self._media.step()
        if monotonic() >= self._next_at:
            ConversationTally.objects.compact()
            deleted = delete_events(self._options.keep_days) + expire_pending_updates(self._options.pending_days)
            self._next_at = monotonic() + (STEP_SECONDS if deleted else IDLE_SECONDS)


def delete_events(days: float) -> int:
    """Delete some of the events applied or ignored more than `days` ago; return the number of deleted events."""
    before = _days_ago(days)
    return sum(_delete(WebhookEvent.objects.filter(outcome=outcome), before) for outcome in DELETED_OUTCOMES)


def _delete(events: "QuerySet[WebhookEvent]", before: dt.datetime) -> int:
    """Delete up to `STEP_ROWS` events that were finished before `before`; return the number of deleted events.

    Events are searched in steps of `STEP_ROWS`, by ascending primary key, until a step contains events to delete. A
    step whose events were all replayed after `before` is skipped. The search ends at an event received after `before`.
    """
    last_pk = 0
    while True:
        step = list(events.filter(pk__gt=last_pk).order_by("pk").values_list("pk", "received_at")[:STEP_ROWS])
        rows = WebhookEvent.objects.filter(pk__in=[pk for pk, _ in step])
        with transaction.atomic():
            old = rows.alias(at=Coalesce("finished_at", "received_at")).filter(at__lt=before)
            deleted = WebhookEvent.objects.filter(pk__in=_lock(old)).delete()[0]
        if deleted or not step or step[-1][1] >= before:
            return deleted
        last_pk = step[-1][0]


def expire_pending_updates(days: float) -> int:
    """Delete up to `STEP_ROWS` pending updates that are older than `days`; return the number of deleted rows.

    The counter `expired` counts the deleted updates whose message never came. An update that was merged into a message
    is pending only because it may match a second message, and is not counted. Neither is a reaction to a known album.
    """
    with transaction.atomic():
        old = _oldest(PendingUpdate.objects.all()).filter(created_at__lt=_days_ago(days))
        rows = PendingUpdate.objects.filter(pk__in=_lock(old))
        same_id = {"instance": OuterRef("instance"), "key_id": OuterRef("key_id")}
        message = Message.objects.filter(**same_id)
        album = PendingUpdate.objects.filter(**same_id, kind=PendingUpdate.Kind.ALBUM)
        unmatched = Counter(rows.filter(~Exists(message), ~Exists(album)).values_list("instance", flat=True))
        metrics.add_to_totals({(instance, "expired"): count for instance, count in unmatched.items()})
        return rows.delete()[0]


def _lock(rows: "QuerySet[Row]") -> list[int]:
    """Lock the rows that no other transaction has locked; return their primary keys."""
    skips = connection.features.has_select_for_update_skip_locked
    return list(rows.select_for_update(skip_locked=skips).order_by("pk").values_list("pk", flat=True))


def _oldest(rows: "QuerySet[Row]") -> "QuerySet[Row]":
    """Return the oldest `STEP_ROWS` rows. The oldest rows have the lowest primary keys, so an index scan finds them."""
    return rows.filter(pk__in=list(rows.order_by("pk").values_list("pk", flat=True)[:STEP_ROWS]))


def _days_ago(days: float) -> dt.datetime:
    return timezone.now() - dt.timedelta(days=days)
