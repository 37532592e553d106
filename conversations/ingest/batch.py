"""One batch: the due events of one instance, applied in one transaction together with what becomes of them.

Who dies in the middle has done nothing: the events are due still, and the next one applies them. An event that cannot
be applied holds up nobody: the batch is cut in two until it is alone.
"""

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import F
from django.utils import timezone

from conversations.evolution.facts import ContactState, ConversationState, Fact, InstanceState, MessageUpdate
from conversations.ingest import counts, verdicts
from conversations.ingest.apply import apply
from conversations.ingest.conf import Options, retry_after
from conversations.ingest.policy import LATEST_STATE
from conversations.ingest.verdicts import Verdict
from conversations.models import Instance, Turn, WebhookEvent
from logs.contexts import Context

LONGEST_REASON = 255
Outcome = WebhookEvent.Outcome
log = Context.WEBHOOK.logger


@dataclass
class Item:
    """An event, or the next part of an import, and what it says."""

    event: WebhookEvent
    verdict: Verdict
    upto: int = 0  # items of an import that are applied with this


def apply_due(instance_id: int, options: Options) -> int:
    """Apply an instance's due events; return how many those were. 0 when it is another worker's turn, or not yet time.

    Raises:
        OperationalError, InterfaceError: the database does not answer; nothing was done.
    """
    with transaction.atomic():
        turn = _turn(instance_id)
        if turn is None:
            return 0
        instance = Instance.objects.lock(instance_id)
        events = _due(instance, options)
        if not events:
            return 0
        tally = apply_events(instance, events, options)
        turn.next_at = timezone.now() + dt.timedelta(seconds=options.interval)
        turn.save(update_fields=["next_at"])
    counts.add(tally)
    return len(events)


def apply_events(instance: Instance, events: Sequence[WebhookEvent], options: Options) -> "Counter[str]":
    """Apply events of an instance, and note what became of each, inside a transaction; return how many of which."""
    items = [_read(instance, event, options) for event in events]
    failed = {item.event: item.verdict.reason for item in items if item.verdict.outcome is Outcome.FAILED}
    failed |= _applied(instance, [item for item in items if item.event not in failed])
    done = [item for item in items if item.event not in failed]
    tally = Counter(coalesced=_coalesced(done))
    tally.update(_fail(event, reason, options) for event, reason in failed.items())
    tally.update(_settle(done))
    return tally


# --- which ------------------------------------------------------------------------------------------------------------
def _turn(instance_id: int) -> Turn | None:
    """Return an instance's turn, locked; None when another worker has it, or it is too early."""
    skips = connection.features.has_select_for_update_skip_locked
    turns = Turn.objects.select_for_update(skip_locked=skips).filter(pk=instance_id, next_at__lte=timezone.now())
    if (turn := turns.first()) is not None:
        return turn
    _, is_new = Turn.objects.get_or_create(pk=instance_id)
    return turns.first() if is_new else None


def _due(instance: Instance, options: Options) -> list[WebhookEvent]:
    """Return what is due: new events in the order in which they came, and beside them one import's next part."""
    due = WebhookEvent.objects.filter(instance=instance, outcome=Outcome.STORED, due_at__lte=timezone.now())
    new = list(due.filter(is_history=False).order_by("id")[: options.batch])
    if len(new) < options.batch:
        new += due.filter(is_history=True).order_by("id")[:1]
    return new


def _read(instance: Instance, event: WebhookEvent, options: Options) -> Item:
    if not event.is_history or event.total <= options.chunk:
        return Item(event, verdicts.read(instance, event))
    upto = min(event.done + options.chunk, event.total)
    return Item(event, verdicts.read(instance, event, slice(event.done, upto)), upto)


# --- what ------------------------------------------------------------------------------------------------------------
def _applied(instance: Instance, items: Sequence[Item]) -> dict[WebhookEvent, str]:
    """Apply what items say; return those that could not be, and why."""
    facts = [fact for item in items for fact in item.verdict.facts]
    try:
        with transaction.atomic():
            apply(instance, facts)
    except (OperationalError, InterfaceError):
        raise  # the database's fault, and a passing one
    except Exception as error:  # noqa: BLE001 - ours, and one event's: it is found, kept, and can be applied again
        if len(items) == 1:
            event = items[0].event
            names = verdicts.told(instance, event, error)
            log.error("Event NOT APPLIED: %s", type(error).__name__, extra=names)  # noqa: TRY400 - it may quote rows
            return {event: type(error).__name__}
        half = len(items) // 2
        return _applied(instance, items[:half]) | _applied(instance, items[half:])
    return {}


# --- what became of them ----------------------------------------------------------------------------------------------
def _fail(event: WebhookEvent, reason: str, options: Options) -> str:
    """Let an event wait for its next try, or give it up: it stays, and can be replayed. Return which of the two."""
    event.attempts += 1
    event.reason = reason[:LONGEST_REASON]
    if event.attempts < options.attempts:
        event.due_at = timezone.now() + retry_after(event.attempts)
    else:
        event.outcome, event.settled_at = Outcome.FAILED, timezone.now()
    event.save(update_fields=["attempts", "reason", "due_at", "outcome", "settled_at"])
    return "failed" if event.outcome == Outcome.FAILED else "retried"


def _settle(items: Iterable[Item]) -> dict[str, int]:
    """Write the outcomes down, those that are alike in one statement; return how many there are of each."""
    now = timezone.now()
    alike: dict[tuple[Outcome, str], list[int]] = {}
    for item in items:
        event, verdict = item.event, item.verdict
        if item.upto and item.upto < event.total:
            event.done = item.upto
            event.save(update_fields=["done"])
            continue
        if verdict.outcome in (Outcome.UNKNOWN, Outcome.FOREIGN):
            log.warning("Event %s: %s", verdict.outcome, verdict.reason, extra=verdicts.told(event.instance, event))
        alike.setdefault((verdict.outcome, verdict.reason[:LONGEST_REASON]), []).append(event.pk)
    settled: Counter[str] = Counter()
    for (outcome, reason), pks in alike.items():
        WebhookEvent.objects.filter(pk__in=pks).update(outcome=outcome, reason=reason, settled_at=now, done=F("total"))
        settled[str(outcome)] += len(pks)
    return settled


def _coalesced(items: Iterable[Item]) -> int:
    """Return how many statements of a latest state another one of the same thing has made unnecessary."""
    said = [key for item in items if item.event.name in LATEST_STATE for key in map(_thing, item.verdict.facts) if key]
    return len(said) - len(set(said))


def _thing(fact: Fact) -> object:
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
