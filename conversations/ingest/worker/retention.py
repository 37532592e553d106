"""Deletes old events, pending updates whose message never came, old changes, records, media files, and ended sessions.

The steps also compact the tally of conversations (`conversations.models.conversation_tally`).

A step skips rows that another transaction has locked, so that it never waits while it holds locks: it cannot deadlock
with a worker, or with a web process that receives an old event again. A later step deletes the skipped rows.
"""

import datetime as dt
from collections import Counter
from itertools import accumulate
from time import monotonic
from typing import TypeVar

from django.contrib.sessions.models import Session
from django.db import connection, transaction
from django.db.models import Exists, F, Model, OuterRef, QuerySet, Sum, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce
from django.utils import timezone

from conversations.changes.log import remove_old
from conversations.ingest import metrics
from conversations.ingest.conf import Options
from conversations.ingest.worker.media_retention import MediaRetention
from conversations.models import ConversationTally, Message, PendingUpdate, ReadingRecord, WebhookEvent
from logs.contexts import Context

STEP_ROWS = 1000  # maximum number of rows that one DELETE statement removes
MEGABYTE = 2**20
STEP_SECONDS = 1.0  # seconds to pause after a step that deleted rows
IDLE_SECONDS = 60.0  # seconds to pause after a step that found nothing to delete

# Failed events are kept until an operator replays or deletes them.
FINISHED_OUTCOMES = (WebhookEvent.Outcome.APPLIED, WebhookEvent.Outcome.IGNORED)
REJECTED_OUTCOMES = (WebhookEvent.Outcome.UNKNOWN, WebhookEvent.Outcome.FOREIGN)
REJECTED_DAYS = 30.0  # minimum days that an event with a rejected outcome is kept, for an operator to look at it
REJECTED_ROWS = 100_000  # events kept of each rejected outcome, because a wrong webhook would fill the disk
WARNING_SECONDS = 3600.0  # seconds between two warnings that failed events take much space

Row = TypeVar("Row", bound=Model)
log = Context.WEBHOOK.logger


class Retention:
    """Deletes old events, pending updates, changes and media files in small steps, with a pause after each step."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._media = MediaRetention(options.media_keep_days or None)
        self._next_at = self._next_warning = monotonic()

    def step(self) -> None:
        """Run one deletion step if the pause after the previous step is over.

        Raises:
            DatabaseError, InterfaceError: an SQL statement fails.
        """
        self._media.step()
        if monotonic() >= self._next_at:
            ConversationTally.objects.compact()
            deleted = delete_events(self._options.keep_days, self._options.keep_mb)
            deleted += expire_pending_updates(self._options.pending_days)
            deleted += remove_old(_days_ago(self._options.changes_keep_days))
            deleted += delete_readings(self._options.readings_keep_days)
            deleted += delete_sessions()
            self._next_at = monotonic() + (STEP_SECONDS if deleted else IDLE_SECONDS)
        if monotonic() >= self._next_warning:
            self._next_warning = monotonic() + WARNING_SECONDS
            _warn_of_failed(self._options.keep_mb)


def delete_events(days: float, megabytes: int) -> int:
    """Delete some of the old events; return the number of deleted events.

    Events that were applied or ignored are kept for `days`. Unknown and foreign events are kept for `REJECTED_DAYS` if
    that is longer, but at most `REJECTED_ROWS` and `megabytes` of each.
    """
    deleted = sum(_delete_old(_events(outcome), _days_ago(days)) for outcome in FINISHED_OUTCOMES)
    before = _days_ago(max(days, REJECTED_DAYS))
    for events in map(_events, REJECTED_OUTCOMES):
        deleted += (
            _delete_old(events, before)
            or _delete_surplus(events, Value(1), REJECTED_ROWS)
            or _delete_surplus(events, F("size"), megabytes * MEGABYTE)
        )
    return deleted


def _warn_of_failed(megabytes: int) -> None:
    """Log a warning if the failed events have more than `megabytes`; they are never deleted unseen."""
    size = _events(WebhookEvent.Outcome.FAILED).aggregate(size=Sum("size", default=0))["size"]
    if size > megabytes * MEGABYTE:
        log.warning("Failed events LARGE: apply them again, or delete them in the admin", extra={"size": size})


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


def _delete_surplus(events: "QuerySet[WebhookEvent]", weight: Combinable, limit: int) -> int:
    """Delete up to `STEP_ROWS` of the events whose weights exceed `limit` in sum; return the number of deleted events.

    The oldest events of the instance with the most are deleted, so that no instance displaces another's events.
    """
    totals = dict(events.order_by().values_list("instance").annotate(total=Sum(weight)))
    surplus = sum(totals.values()) - limit
    if surplus <= 0:
        return 0
    largest = max(totals, key=lambda pk: (totals[pk], -pk))
    oldest = list(events.filter(instance=largest).order_by("pk").values_list("pk", weight)[:STEP_ROWS])
    before = accumulate((weighed for _, weighed in oldest), initial=0)
    return _delete(
        events.filter(pk__in=[pk for (pk, _), total in zip(oldest, before, strict=False) if total < surplus])
    )


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


def delete_readings(days: float) -> int:
    """Delete up to `STEP_ROWS` records of reading that are older than `days`; return the number of deleted rows."""
    old = _oldest(ReadingRecord.objects.all(), STEP_ROWS).filter(read_at__lt=_days_ago(days))
    return old.delete()[0]


def delete_sessions() -> int:
    """Delete up to `STEP_ROWS` sessions of browsers that have ended; return the number of deleted rows."""
    ended = Session.objects.filter(expire_date__lt=timezone.now()).values_list("pk", flat=True)[:STEP_ROWS]
    return Session.objects.filter(pk__in=list(ended)).delete()[0]


def _lock(rows: "QuerySet[Row]") -> list[int]:
    """Lock the rows that no other transaction has locked; return their primary keys."""
    skips = connection.features.has_select_for_update_skip_locked
    return list(rows.select_for_update(skip_locked=skips).order_by("pk").values_list("pk", flat=True))


def _oldest(rows: "QuerySet[Row]", count: int) -> "QuerySet[Row]":
    """Return the `count` oldest rows. The oldest rows have the lowest primary keys, so an index scan finds them."""
    return rows.filter(pk__in=list(rows.order_by("pk").values_list("pk", flat=True)[:count]))


def _days_ago(days: float) -> dt.datetime:
    return timezone.now() - dt.timedelta(days=days)
