"""One batch: the due events of one instance, applied in one transaction together with what becomes of them.

Who dies in the middle has done nothing: the events are due still, and the next one applies them. An event that cannot
be applied holds up nobody: the batch is cut in two until it is alone.
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
LONGEST_REASON = 255
# Of an event, to apply it, and to write down how that went.
_READ = ("name", "payload", "request_id", "due_at", "attempts", "reason", "outcome", "finished_at")
Outcome = WebhookEvent.Outcome
log = Context.WEBHOOK.logger


@dataclass(frozen=True)
class ParsedItem:
    """An event, and what it says."""

    event: WebhookEvent
    parsed: ParsedEvent


def apply_due(instance_id: int, options: Options, *, ignore_schedule: bool = False) -> int:
    """Apply an instance's due events; return how many those were. 0 when it is another worker's turn, or not yet time.

    Args:
        instance_id: whose.
        options: how many at once, and how soon the next ones.
        hurry: do not wait for its turn and for the end of windows; what has failed before is left for later.

    Raises:
        DatabaseError, InterfaceError: the database does not do it; nothing was done.
        Instance.DoesNotExist: it is gone.
    """
    if not IngestLease.objects.filter(pk=instance_id).exists():
        _give_turn(instance_id)
    with sqlite_lock.serialized_writes(), transaction.atomic():
        turn = _turn(instance_id, ignore_schedule=ignore_schedule)
        if turn is None:
            return 0
        instance = Instance.objects.lock(instance_id)
        events = find_due_events(instance, options, ignore_schedule=ignore_schedule)
        if not events:
            return 0
        tally = apply_events(instance, events, options)
        tally["delayed"] = 0 if ignore_schedule else sum(event.due_at < turn.next_at for event in events)
        turn.next_at = timezone.now() + dt.timedelta(seconds=options.interval)
        turn.save(update_fields=["next_at"])
        metrics.add_to_totals({(instance.pk, name): times for name, times in tally.items()})
    return len(events)


def apply_events(instance: Instance, events: Sequence[WebhookEvent], options: Options) -> "Counter[str]":
    """Apply events of an instance, and note what became of each, inside a transaction; return how many of which."""
    with bound(instance=instance.name):
        items = [ParsedItem(event, parse.parse(instance, event)) for event in events]
        failed = {item.event: item.parsed.reason for item in items if item.parsed.outcome is Outcome.FAILED}
        failed |= _applied(instance, [item for item in items if item.event not in failed])
        done = [item for item in items if item.event not in failed]
        tally = Counter(coalesced=_coalesced(done))
        tally.update(_fail(event, reason, options) for event, reason in failed.items())
        tally.update(_settle(done))
    return tally


# --- which ------------------------------------------------------------------------------------------------------------
def _turn(instance_id: int, *, ignore_schedule: bool) -> IngestLease | None:
    """Return an instance's turn, locked; None when another worker has it, or it is too early."""
    skips = connection.features.has_select_for_update_skip_locked
    turn = IngestLease.objects.select_for_update(skip_locked=skips).filter(pk=instance_id).first()
    return turn if turn and (ignore_schedule or is_due(turn.next_at, timezone.now())) else None


def _give_turn(instance_id: int) -> None:
    """Make an instance's turn, by itself: for the end of a batch that had made it others would wait."""
    there = Instance.objects.filter(pk=instance_id).values_list("pk", flat=True)
    IngestLease.objects.bulk_create([IngestLease(pk=pk, next_at=EPOCH) for pk in there], ignore_conflicts=True)


def find_due_events(instance: Instance, options: Options, *, ignore_schedule: bool) -> list[WebhookEvent]:
    """Return what is due, the longest waiting first: new events, and beside them one part of an import."""
    stored = WebhookEvent.objects.filter(instance=instance, outcome=Outcome.STORED)
    now = timezone.now()
    due = (
        stored.filter(attempts=0) if ignore_schedule else stored.filter(Q(due_at__lte=now) | Q(due_at__gt=now + CLOCK_SKEW_LIMIT))
    )
    due = due.order_by("due_at", "id")
    size = sqlite_lock.max_batch_size(options.batch)
    pks = _within(due.filter(is_history=False)[:size])
    if len(pks) < size:
        pks += due.filter(is_history=True).values_list("pk", flat=True)[:1]
    return list(WebhookEvent.objects.only(*_READ).filter(pk__in=pks).order_by("id")) if pks else []


def _within(events: QuerySet[WebhookEvent]) -> list[int]:
    """Return the first events that are not too large together; one may be as large as it is."""
    pks: list[int] = []
    total = 0
    for pk, size in events.values_list("pk", "size"):
        total += size
        if pks and total > MAX_BATCH_CHARS:
            break
        pks.append(pk)
    return pks


# --- what -------------------------------------------------------------------------------------------------------------
def _applied(instance: Instance, items: Sequence[ParsedItem]) -> dict[WebhookEvent, str]:
    """Apply what items say; return those that could not be, and why.

    Raises:
        DatabaseError, InterfaceError: the database's fault, and a passing one.
    """
    facts = [fact for item in items for fact in item.parsed.facts]
    if not facts:
        return {}
    try:
        with _about(items), transaction.atomic():
            apply(instance, facts)
    except Exception as error:  # ours, and one event's: it is found, kept, and can be applied again
        if is_transient_db_error(error):
            raise
        if len(items) > 1:
            half = len(items) // 2
            return _applied(instance, items[:half]) | _applied(instance, items[half:])
        what = type(error).__name__
        with _about(items):
            log.error("Event NOT APPLIED: %s", what, extra=traceback_extra(error))  # noqa: TRY400 - it may quote rows
        return {items[0].event: what}
    return {}


def _about(items: Sequence[ParsedItem]) -> AbstractContextManager[None]:
    """Have what is logged meanwhile say which event it is about, where there is only one."""
    return parse.log_context(items[0].event) if len(items) == 1 else nullcontext()


# --- what became of them ----------------------------------------------------------------------------------------------
def _fail(event: WebhookEvent, reason: str, options: Options) -> str:
    """Let an event wait for its next try, or give it up: it stays, and can be replayed. Return which of the two."""
    event.attempts += 1
    event.reason = reason[:LONGEST_REASON]
    if event.attempts < options.attempts:
        event.due_at = timezone.now() + retry_after(event.attempts)
    else:
        event.outcome, event.finished_at = Outcome.FAILED, timezone.now()
    event.save(update_fields=["attempts", "reason", "due_at", "outcome", "finished_at"])
    return "failed" if event.outcome == Outcome.FAILED else "retried"


def _settle(items: Iterable[ParsedItem]) -> dict[str, int]:
    """Write the outcomes down, those that are alike in one statement; return how many there are of each."""
    now = timezone.now()
    alike: dict[tuple[Outcome, str], list[int]] = {}
    for item in items:
        parse.log_outcome(item.event, item.parsed)
        verdict = item.parsed
        alike.setdefault((verdict.outcome, verdict.reason[:LONGEST_REASON]), []).append(item.event.pk)
    settled: Counter[str] = Counter()
    for (outcome, reason), pks in alike.items():
        WebhookEvent.objects.filter(pk__in=pks).update(outcome=outcome, reason=reason, finished_at=now)
        settled[str(outcome)] += len(pks)
    return settled


def _coalesced(items: Iterable[ParsedItem]) -> int:
    """Return how many statements of a latest state another one of the same thing has made unnecessary."""
    told = (*LATEST_STATE, ACKNOWLEDGEMENT)
    said = [key for item in items if item.event.name in told for key in map(_state_key, item.parsed.facts) if key]
    return len(said) - len(set(said))


def _state_key(fact: Fact) -> object:
    """Return what a fact states the latest of; None for what is no such statement."""
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
