"""Deletes old events, pending updates whose message never came, old changes and old media files, in small steps.

The steps also compact the tally of conversations (`conversations.models.conversation_tally`).

A step skips rows that another transaction has locked, so that it never waits while it holds locks: it cannot deadlock
with a worker, or with a web process that receives an old event again. A later step deletes the skipped rows.
"""

import datetime as dt
from collections import Counter
from time import monotonic
from typing import TypeVar

from django.db import connection, transaction
from django.db.models import Count, Exists, Model, OuterRef, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone

from conversations.changes.log import remove_old
from conversations.ingest import metrics
from conversations.ingest.conf import Options
from conversations.ingest.worker.media_retention import MediaRetention
from conversations.models import ConversationTally, Message, PendingUpdate, WebhookEvent

STEP_ROWS = 1000  # maximum number of rows that one DELETE statement removes
STEP_SECONDS = 1.0  # seconds to pause after a step that deleted rows
IDLE_SECONDS = 60.0  # seconds to pause after a step that found nothing to delete

# Failed events are kept until an operator replays or deletes them.
FINISHED_OUTCOMES = (WebhookEvent.Outcome.APPLIED, WebhookEvent.Outcome.IGNORED)
REJECTED_OUTCOMES = (WebhookEvent.Outcome.UNKNOWN, WebhookEvent.Outcome.FOREIGN)
REJECTED_DAYS = 30.0  # minimum days that an event with a rejected outcome is kept, for an operator to look at it
REJECTED_ROWS = 100_000  # events kept of each rejected outcome, because a wrong webhook would fill the disk

Row = TypeVar("Row", bound=Model)


class Retention:
    """Deletes old events, pending updates, changes and media files in small steps, with a pause after each step."""

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
            deleted += remove_old(_days_ago(self._options.changes_keep_days))
            self._next_at = monotonic() + (STEP_SECONDS if deleted else IDLE_SECONDS)


def delete_events(days: float) -> int:
    """Delete some of the old events; return the number of deleted events.

    Events that were applied or ignored are kept for `days`. Unknown and foreign events are kept for `REJECTED_DAYS` if
    that is longer, but at most `REJECTED_ROWS` of each.
    """
    deleted = sum(_delete_old(_events(outcome), _days_ago(days)) for outcome in FINISHED_OUTCOMES)
    before = _days_ago(max(days, REJECTED_DAYS))
    return deleted + sum(
        _delete_old(_events(outcome), before) or _delete_surplus(_events(outcome)) for outcome in REJECTED_OUTCOMES
    )


def _events(outcome: WebhookEvent.Outcome) -> "QuerySet[WebhookEvent]":
    return WebhookEvent.objects.filter(outcome=outcome)


def _delete_old(events: "QuerySet[WebhookEvent]", before: dt.datetime) -> int:
    """Delete up to `STEP_ROWS` events that were finished before `before`; return the number of deleted events.

    Events are searched in steps of `STEP_ROWS`, by ascending primary key, until a step contains events to delete. A
    step whose events were all replayed after `before` is skipped. The search ends at an event received after `before`.
    """
    last_pk = 0
    while True:
        step = list(events.filter(pk__gt=last_pk).order_by("pk").values_list("pk", "received_at")[:STEP_ROWS])
        rows = events.filter(pk__in=[pk for pk, _ in step])  # without those that became due again meanwhile
        old = rows.alias(at=Coalesce("finished_at", "received_at")).filter(at__lt=before)
        deleted = _delete(old)
        if deleted or not step or step[-1][1] >= before:
            return deleted
        last_pk = step[-1][0]


def _delete_surplus(events: "QuerySet[WebhookEvent]") -> int:
    """Delete up to `STEP_ROWS` of the events beyond `REJECTED_ROWS`; return the number of deleted events.

    The oldest events of the instance with the most events are deleted, so that no instance displaces another's events.
    """
    surplus = min(events.count() - REJECTED_ROWS, STEP_ROWS)
    if surplus <= 0:
        return 0
    largest = events.values_list("instance").annotate(count=Count("pk")).order_by("-count", "instance")[:1]
    return _delete(_oldest(events.filter(instance__in=[pk for pk, _ in largest]), surplus))


def _delete(events: "QuerySet[WebhookEvent]") -> int:
    """Delete the events that no other transaction has locked; return the number of deleted events."""
    with transaction.atomic():
        return WebhookEvent.objects.filter(pk__in=_lock(events)).delete()[0]


def expire_pending_updates(days: float) -> int:
    """Delete up to `STEP_ROWS` pending updates that are older than `days`; return the number of deleted rows.

    The counter `expired` counts the deleted updates whose message never came. An update that was merged into a message
    is pending only because it may match a second message, and is not counted. Neither is a reaction to a known album.
    """
    with transaction.atomic():
        old = _oldest(PendingUpdate.objects.all(), STEP_ROWS).filter(created_at__lt=_days_ago(days))
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


def _oldest(rows: "QuerySet[Row]", count: int) -> "QuerySet[Row]":
    """Return the `count` oldest rows. The oldest rows have the lowest primary keys, so an index scan finds them."""
    return rows.filter(pk__in=list(rows.order_by("pk").values_list("pk", flat=True)[:count]))


def _days_ago(days: float) -> dt.datetime:
    return timezone.now() - dt.timedelta(days=days)
