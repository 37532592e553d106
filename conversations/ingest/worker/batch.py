"""Applies one batch: the due events of one instance and their outcomes, in one transaction.

A worker that dies inside a batch leaves the events due, and another worker applies them. If an event's facts cannot be
applied, the batch is halved until that event is alone, so that it does not block the others.
"""

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from conversations.evolution.facts import ContactState, ConversationState, Fact, InstanceState, MessageUpdate
from conversations.ingest import metrics, sqlite_lock
from conversations.ingest.apply.apply import apply
from conversations.ingest.conf import CLOCK_SKEW_LIMIT, Options, is_due, retry_after
from conversations.ingest.errors import is_transient_db_error, traceback_extra
from conversations.ingest.event_policy import ACKNOWLEDGEMENT, LATEST_STATE
from conversations.ingest.worker import parse
from conversations.ingest.worker.parse import ParsedEvent
from conversations.models import EPOCH, IngestLease, Instance, WebhookEvent
from logs.binding import bound
from logs.contexts import Context

MAX_BATCH_CHARS = 8_000_000  # characters of JSON in a batch of several events; in memory they take ten times as much
MAX_REASON_CHARS = 255
# The columns that applying an event and recording its outcome need.
_EVENT_FIELDS = ("name", "payload", "request_id", "due_at", "attempts", "reason", "outcome", "finished_at")
Outcome = WebhookEvent.Outcome
log = Context.WEBHOOK.logger


@dataclass(frozen=True)
class ParsedItem:
    """An event and its parsed content."""

    event: WebhookEvent
    parsed: ParsedEvent


def apply_due(instance_id: int, options: Options, *, ignore_schedule: bool = False) -> int:
    """Apply an instance's due events. Return their number; 0 if another worker holds the lease or nothing is due.

    Args:
        instance_id: the instance's primary key.
        options: the batch size, the batch interval and the number of attempts.
        ignore_schedule: ignore the batch interval and the debounce windows. Events that failed before are left out.

    Raises:
        DatabaseError, InterfaceError: the database fails; the transaction is rolled back.
        Instance.DoesNotExist: the instance was deleted.
    """
    if not IngestLease.objects.filter(pk=instance_id).exists():
        _create_lease(instance_id)
    with sqlite_lock.serialized_writes(), transaction.atomic():
        lease = _acquire_lease(instance_id, ignore_schedule=ignore_schedule)
        if lease is None:
            return 0
        instance = Instance.objects.lock(instance_id)
        events = find_due_events(instance, options, ignore_schedule=ignore_schedule)
        if not events:
            return 0
        counts = apply_events(instance, events, options)
        counts["delayed"] = 0 if ignore_schedule else sum(event.due_at < lease.next_at for event in events)
        lease.next_at = timezone.now() + dt.timedelta(seconds=options.interval)
        lease.save(update_fields=["next_at"])
        metrics.add_to_totals({(instance.pk, name): count for name, count in counts.items()})
    return len(events)


def apply_events(instance: Instance, events: Sequence[WebhookEvent], options: Options) -> "Counter[str]":
    """Apply events of an instance and record their outcomes, inside the caller's transaction.

    Returns:
        The number of events for each counter name (see `metrics`).
    """
    with bound(instance=instance.name):
        items = [ParsedItem(event, parse.parse(instance, event)) for event in events]
        failed = {item.event: item.parsed.reason for item in items if item.parsed.outcome is Outcome.FAILED}
        failed |= _apply_items(instance, [item for item in items if item.event not in failed])
        applied = [item for item in items if item.event not in failed]
        counts = Counter(coalesced=_count_coalesced(applied))
        counts.update(_record_failure(event, reason, options) for event, reason in failed.items())
        counts.update(record_outcomes(applied))
    return counts


# --- selecting events -------------------------------------------------------------------------------------------------
def _acquire_lease(instance_id: int, *, ignore_schedule: bool) -> IngestLease | None:
    """Lock and return an instance's lease; return None if another worker holds it or the interval has not passed."""
    skips = connection.features.has_select_for_update_skip_locked
    lease = IngestLease.objects.select_for_update(skip_locked=skips).filter(pk=instance_id).first()
    return lease if lease and (ignore_schedule or is_due(lease.next_at, timezone.now())) else None


def _create_lease(instance_id: int) -> None:
    """Create an instance's lease outside the batch's transaction, so that other workers do not wait for its commit."""
    existing = Instance.objects.filter(pk=instance_id).values_list("pk", flat=True)
    IngestLease.objects.bulk_create([IngestLease(pk=pk, next_at=EPOCH) for pk in existing], ignore_conflicts=True)


def find_due_events(instance: Instance, options: Options, *, ignore_schedule: bool) -> list[WebhookEvent]:
    """Return the due events, the longest waiting first: live events, and at most one part of a history import."""
    stored = WebhookEvent.objects.filter(instance=instance, outcome=Outcome.STORED)
    now = timezone.now()
    if ignore_schedule:
        due = stored.filter(attempts=0)
    else:
        due = stored.filter(Q(due_at__lte=now) | Q(due_at__gt=now + CLOCK_SKEW_LIMIT))
    due = due.order_by("due_at", "id")
    size = sqlite_lock.max_batch_size(options.batch)
    pks = _limit_size(due.filter(is_history=False)[:size])
    if len(pks) < size:
        pks += due.filter(is_history=True).values_list("pk", flat=True)[:1]
    return list(WebhookEvent.objects.only(*_EVENT_FIELDS).filter(pk__in=pks).order_by("id")) if pks else []


def _limit_size(events: QuerySet[WebhookEvent]) -> list[int]:
    """Return the primary keys of the first events that fit into `MAX_BATCH_CHARS`; the first one always fits."""
    pks: list[int] = []
    total = 0
    for pk, size in events.values_list("pk", "size"):
        total += size
        if pks and total > MAX_BATCH_CHARS:
            break
        pks.append(pk)
    return pks


# --- applying facts ---------------------------------------------------------------------------------------------------
def _apply_items(instance: Instance, items: Sequence[ParsedItem]) -> dict[WebhookEvent, str]:
    """Apply the items' facts; return the events that failed, with the reason.

    Raises:
        DatabaseError, InterfaceError: the database is unavailable.
    """
    facts = [fact for item in items for fact in item.parsed.facts]
    if not facts:
        return {}
    try:
        with _log_context(items), transaction.atomic():
            apply(instance, facts)
    except Exception as error:  # a defect in this code: the event can be replayed after a fix
        if is_transient_db_error(error):
            raise
        if len(items) > 1:
            half = len(items) // 2
            return _apply_items(instance, items[:half]) | _apply_items(instance, items[half:])
        reason = type(error).__name__
        with _log_context(items):
            log.error("Event NOT APPLIED: %s", reason, extra=traceback_extra(error))  # noqa: TRY400 - its text may quote rows
        return {items[0].event: reason}
    return {}


def _log_context(items: Sequence[ParsedItem]) -> AbstractContextManager[None]:
    """Add the event's fields to log lines inside the block, if there is only one event."""
    return parse.log_context(items[0].event) if len(items) == 1 else nullcontext()


# --- recording outcomes -----------------------------------------------------------------------------------------------
def _record_failure(event: WebhookEvent, reason: str, options: Options) -> str:
    """Schedule an event's next attempt, or mark it failed after the last one; return the counter's name."""
    event.attempts += 1
    event.reason = reason[:MAX_REASON_CHARS]
    if event.attempts < options.attempts:
        event.due_at = timezone.now() + retry_after(event.attempts)
    else:
        event.outcome, event.finished_at = Outcome.FAILED, timezone.now()
    event.save(update_fields=["attempts", "reason", "due_at", "outcome", "finished_at"])
    return "failed" if event.outcome == Outcome.FAILED else "retried"


def record_outcomes(items: Iterable[ParsedItem]) -> dict[str, int]:
    """Log and save the outcomes of applied items, one UPDATE for each outcome and reason; return the number of each."""
    now = timezone.now()
    groups: dict[tuple[Outcome, str], list[int]] = {}
    for item in items:
        parse.log_outcome(item.event, item.parsed)
        groups.setdefault((item.parsed.outcome, item.parsed.reason[:MAX_REASON_CHARS]), []).append(item.event.pk)
    counts: Counter[str] = Counter()
    for (outcome, reason), pks in groups.items():
        WebhookEvent.objects.filter(pk__in=pks).update(outcome=outcome, reason=reason, finished_at=now)
        counts[str(outcome)] += len(pks)
    return counts


def _count_coalesced(items: Iterable[ParsedItem]) -> int:
    """Return how many latest-state values another value for the same thing in this batch made redundant."""
    names = (*LATEST_STATE, ACKNOWLEDGEMENT)
    keys = [key for item in items if item.event.name in names for key in map(_state_key, item.parsed.facts) if key]
    return len(keys) - len(set(keys))


def _state_key(fact: Fact) -> object:
    """Return a key that is equal for latest-state facts about the same thing; None for other facts."""
    match fact:
        case InstanceState():
            return "instance"
        case ContactState():
            return "contact", fact.address.key
        case ConversationState():
            return "conversation", fact.chat.key
        case MessageUpdate():
            return fact.kind, fact.key_id, fact.chat, fact.subject
    return None
