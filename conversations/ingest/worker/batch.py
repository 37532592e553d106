"""Applies one batch: applies the due events of one instance and records their outcomes, in one transaction.

If a worker dies inside a batch, the events of the batch stay due and another worker applies them. If an event's facts
cannot be applied, the batch is halved until that event is alone, so that the other events are applied.
"""

import datetime as dt
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import accumulate, takewhile

from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from conversations.db import due_times
from conversations.db.bulk import bulk_update
from conversations.evolution.envelope import OwnAddresses
from conversations.evolution.facts import (
    ContactState,
    ConversationState,
    Fact,
    InstanceState,
    MessageCopy,
    MessageUpdate,
    weight,
)
from conversations.ingest import metrics, sqlite_lock
from conversations.ingest.apply.apply import MAX_WEIGHT, apply
from conversations.ingest.conf import MEDIA_LEASE, Options, retry_after
from conversations.ingest.errors import is_transient_db_error, traceback_extra
from conversations.ingest.event_policy import ACKNOWLEDGEMENT, LATEST_STATE, RATE_LIMITED
from conversations.ingest.worker import left_media, parse
from conversations.ingest.worker.collapse import collapse
from conversations.ingest.worker.large_payloads import load_events
from conversations.ingest.worker.parse import ParsedEvent
from conversations.models import EPOCH, IngestLease, Instance, Message, WebhookEvent
from logs.binding import bound
from logs.contexts import Context

MAX_BATCH_BYTES = 2_000_000  # maximum bytes of JSON in a batch, because facts take up to 16 times as much memory
MAX_REASON_CHARS = 255
COUNTED_AGE = dt.timedelta(days=1)  # older messages are history, which an import would count at once
# The columns that a worker needs, beside the payload, for applying an event and recording the event's outcome.
_EVENT_FIELDS = (
    "instance", "name", "received_at", "request_id",
    "due_at", "attempts", "reason", "outcome", "finished_at", "is_history",
)  # fmt: skip
_Sizes = list[tuple[int, int]]  # primary keys of events, each with the size of its payload
Outcome = WebhookEvent.Outcome
log = Context.WEBHOOK.logger


@dataclass(frozen=True)
class ParsedItem:
    """A stored webhook event and its parsed content."""

    event: WebhookEvent
    parsed: ParsedEvent


def apply_due(instance_id: int, options: Options, *, ignore_schedule: bool = False, share: float = 1.0) -> int:
    """Apply an instance's due events. Return the number of events.

    It is 0 if another worker holds the lease, and if only media of an event were written.

    Args:
        instance_id: the instance's primary key.
        options: the batch size, the batch interval and the number of attempts.
        ignore_schedule: ignore the batch interval and the debounce windows, but leave out events that failed before.
        share: the share of a full batch that the batch may have (see `pace`); it has at least one event.

    Raises:
        DatabaseError, InterfaceError: the database fails; the transaction is rolled back.
        Instance.DoesNotExist: the instance was deleted.
    """
    try:
        return _apply_batch(instance_id, options, ignore_schedule=ignore_schedule, share=share)
    except IngestLease.DoesNotExist:  # a worker holds the lease, or the instance has none yet
        if not _create_lease(instance_id):
            return 0
    return apply_due(instance_id, options, ignore_schedule=ignore_schedule, share=share)


def _apply_batch(instance_id: int, options: Options, *, ignore_schedule: bool, share: float) -> int:
    """Do the work of `apply_due`.

    Raises:
        IngestLease.DoesNotExist: a worker holds the lease, or the instance has none.
    """
    with sqlite_lock.serialized_writes(), transaction.atomic():
        lease = _lock_lease(instance_id)
        if not ignore_schedule and not due_times.is_due(lease.next_at, timezone.now(), options.skew_limit):
            return 0
        instance = Instance.objects.lock(instance_id)
        events, leaves_more = find_due_events(instance, options, ignore_schedule=ignore_schedule, share=share)
        if not events:
            return 0
        counts, applied, unwritten = apply_events(instance, events, options, share)
        counts["delayed"] = 0 if ignore_schedule else sum(event.due_at < lease.next_at for event in applied)
        leaves_more |= len(applied) < len(events)
        # A full batch gains nothing from a pause. The lease is due now, so instances that became due earlier come
        # first.
        pause = dt.timedelta(seconds=0 if leaves_more else options.interval)
        lease.next_at = timezone.now() + (MEDIA_LEASE if unwritten else pause)
        bulk_update(connection, [lease], ["next_at"])
        metrics.add_to_totals({(instance.pk, name): count for name, count in counts.items()})
    if unwritten:
        _write_media(instance, unwritten[0], options)
    _observe_lag(applied)
    return len(applied)


def _write_media(instance: Instance, event: WebhookEvent, options: Options) -> None:
    """Write media that are left in an event, in the time of one step, and make the instance due again."""
    try:
        with bound(instance=instance.name), parse.log_context(event):
            left_media.write(instance, event)
    except Exception as error:
        if is_transient_db_error(error):
            raise
        with bound(instance=instance.name), parse.log_context(event):
            log.error("Event NOT READ: %s", type(error).__name__, extra=traceback_extra(error))  # noqa: TRY400 - error texts may quote payloads
        _record_unwritten(instance, event, type(error).__name__, options)
    finally:
        with sqlite_lock.serialized_writes():
            IngestLease.objects.filter(pk=instance.pk).update(next_at=EPOCH)


def _record_unwritten(instance: Instance, event: WebhookEvent, reason: str, options: Options) -> None:
    """Record that media could not be written, unless another worker has finished the event meanwhile.

    Rows are locked in the order of `apply_due`.
    """
    with sqlite_lock.serialized_writes(), transaction.atomic():
        IngestLease.objects.select_for_update().filter(pk=instance.pk).first()
        Instance.objects.lock(instance.pk)
        stored = WebhookEvent.objects.filter(pk=event.pk, outcome=Outcome.STORED).select_for_update()
        current = stored.only(*_EVENT_FIELDS).first()
        if current is not None:
            metrics.add_to_totals({(instance.pk, _record_failure(current, reason, options)): 1})


def _observe_lag(events: Iterable[WebhookEvent]) -> None:
    """Count the delay of new events. Imports and failed attempts wait on purpose."""
    now = timezone.now()
    for event in events:
        if not event.is_history and not event.attempts:
            metrics.lag.observe(max(0.0, (now - event.received_at).total_seconds()))


def apply_events(
    instance: Instance, events: Sequence[WebhookEvent], options: Options, share: float = 1.0
) -> tuple["Counter[str]", list[WebhookEvent], list[WebhookEvent]]:
    """Apply the first events of an instance and record their outcomes, inside the caller's transaction.

    The arguments are those of `apply_due`.

    Returns:
        Counter name → number of events to add to the counter (see `metrics`); the events whose outcomes were recorded;
        and the events that were left as they are, because their media must become files first.
    """
    with bound(instance=instance.name):
        own = OwnAddresses.of(instance.own_addresses)
        items = _parse_first(instance, events, own, int(share * MAX_WEIGHT))
        unwritten = [item.event for item in items if item.parsed.outcome is Outcome.STORED]
        parsed = [item for item in items if item.parsed.outcome not in (Outcome.FAILED, Outcome.STORED)]
        failed = {item.event: item.parsed.reason for item in items if item.parsed.outcome is Outcome.FAILED}
        counts: Counter[str] = Counter()
        failed |= _apply_items(instance, parsed, counts)
        applied = [item for item in parsed if item.event not in failed]
        counts.update(coalesced=_count_coalesced(applied), unsupported=_count_unsupported(applied))
        counts.update(_record_failure(event, reason, options) for event, reason in failed.items())
        deleted, counts["collapsed"] = collapse(instance, [(item.event, item.parsed) for item in applied])
        counts.update(record_outcomes(applied, deleted=deleted))
    return counts, [item.event for item in items if item.event not in unwritten], unwritten


def _parse_first(
    instance: Instance, events: Iterable[WebhookEvent], own: OwnAddresses, max_weight: int
) -> list[ParsedItem]:
    """Parse the first new events, as many as have facts of at most `max_weight`, but at least one.

    The part of a history import comes last, and is not limited, so that neither it nor new events wait for the other.
    """
    items: list[ParsedItem] = []
    total = 0
    for event in sorted(events, key=lambda event: event.is_history):
        item = _parse(instance, event, own)
        total += sum(map(weight, item.parsed.facts))
        if items and total > max_weight and not event.is_history:
            break
        items.append(item)
    return items


def _parse(instance: Instance, event: WebhookEvent, own: OwnAddresses) -> ParsedItem:
    """Parse an event, and free its payload, because SQLite needs memory for the whole row when it saves the outcome."""
    item = ParsedItem(event, parse.parse(instance, event, own))
    # `collapse` reads the payloads of rate-limited events; `left_media` reads those of stored ones.
    if event.name not in RATE_LIMITED and item.parsed.outcome is not Outcome.STORED:
        del event.payload
    return item


# --- selecting events -------------------------------------------------------------------------------------------------
def _lock_lease(instance_id: int) -> IngestLease:
    """Lock and return an instance's lease.

    Raises:
        IngestLease.DoesNotExist: a worker holds the lease, or the instance has none.
    """
    skips = connection.features.has_select_for_update_skip_locked
    return IngestLease.objects.select_for_update(skip_locked=skips).get(pk=instance_id)


def _create_lease(instance_id: int) -> bool:
    """Create an instance's lease; return False if it exists already, or if the instance does not.

    This is outside the batch's transaction, so that no other worker waits for the batch.
    """
    if IngestLease.objects.filter(pk=instance_id).exists() or not Instance.objects.filter(pk=instance_id).exists():
        return False
    IngestLease.objects.bulk_create([IngestLease(pk=instance_id, next_at=EPOCH)], ignore_conflicts=True)
    return True


def find_due_events(
    instance: Instance, options: Options, *, ignore_schedule: bool, share: float = 1.0
) -> tuple[list[WebhookEvent], bool]:
    """Return the due events that form the next batch: new events, and at most one part of a history import.

    The arguments are those of `apply_due`.

    Returns:
        The events, and whether more are due, for which the batch has no room.
    """
    stored = WebhookEvent.objects.filter(instance=instance, outcome=Outcome.STORED)
    now = timezone.now()
    if ignore_schedule:
        due = stored.filter(attempts=0)
    else:
        due = stored.filter(due_times.due("due_at", now, options.skew_limit))
    due = due.order_by("due_at", "id")
    size = max(1, int(share * sqlite_lock.max_batch_size(options.batch)))
    new, parts = _find_first(due, size + 1, 2)  # one more than there is room for
    sizes = _limit_size(new[:size], int(share * MAX_BATCH_BYTES))
    if len(sizes) < size:
        sizes |= dict(parts[:1])
    return load_events(sizes, _EVENT_FIELDS), len(sizes) < len(new) + len(parts)


def _find_first(due: QuerySet[WebhookEvent], new_count: int, part_count: int) -> tuple[_Sizes, _Sizes]:
    """Return the first new events and the first parts of imports, each with its size."""
    limit = new_count + part_count - 1
    rows = list(due.values_list("is_history", "pk", "size")[:limit])
    new, parts = ([(pk, size) for is_history, pk, size in rows if is_history is kind] for kind in (False, True))
    # One query finds all if few are due; otherwise it finds enough of one kind.
    if len(rows) == limit and len(new) < new_count:
        new = list(due.filter(is_history=False).values_list("pk", "size")[:new_count])
    elif len(rows) == limit:
        parts = list(due.filter(is_history=True).values_list("pk", "size")[:part_count])
    return new[:new_count], parts[:part_count]


def _limit_size(events: _Sizes, max_bytes: int) -> dict[int, int]:
    """Return the primary keys and the sizes of as many events as fit into `max_bytes`, but at least one."""
    totals = accumulate(size for _, size in events)
    fitting = takewhile(lambda total: total <= max_bytes, totals)
    return dict(events[: max(1, len(list(fitting)))])


# --- applying facts ---------------------------------------------------------------------------------------------------
def _apply_items(instance: Instance, items: Sequence[ParsedItem], counts: "Counter[str]") -> dict[WebhookEvent, str]:
    """Apply the facts of parsed events, and add the new messages to the counter of messages.

    Returns:
        The events that could not be applied, each with the reason.

    Raises:
        DatabaseError, InterfaceError: the database is unavailable.
    """
    facts = [fact for item in items for fact in item.parsed.facts]
    if not facts:
        return {}
    try:
        with _log_context(items), transaction.atomic():
            new = apply(instance, facts)
    except Exception as error:  # a defect in the code: an operator can replay the event after a fix
        if is_transient_db_error(error):
            raise
        instance.refresh_from_db()  # without the changes that were rolled back
        if len(items) > 1:
            half = len(items) // 2
            return _apply_items(instance, items[:half], counts) | _apply_items(instance, items[half:], counts)
        reason = type(error).__name__
        with _log_context(items):
            log.error("Event NOT APPLIED: %s", reason, extra=traceback_extra(error))  # noqa: TRY400 - error texts may quote rows
        return {items[0].event: reason}
    counted_after = timezone.now() - COUNTED_AGE
    counts["messages"] += sum(message.timestamp > counted_after for message in new)
    return {}


def _log_context(items: Sequence[ParsedItem]) -> AbstractContextManager[None]:
    """Add the fields of the event to log lines inside the block, if `items` contains only one event."""
    return parse.log_context(items[0].event) if len(items) == 1 else nullcontext()


# --- recording outcomes -----------------------------------------------------------------------------------------------
def _record_failure(event: WebhookEvent, reason: str, options: Options) -> str:
    """Schedule an event's next attempt, or mark the event as failed; return the name of the counter to increment."""
    event.attempts += 1
    event.reason = reason[:MAX_REASON_CHARS]
    if event.attempts < options.attempts:
        event.due_at = timezone.now() + retry_after(event.attempts)
    else:
        event.outcome, event.finished_at = Outcome.FAILED, timezone.now()
    event.save(update_fields=["attempts", "reason", "due_at", "outcome", "finished_at"])
    return "failed" if event.outcome == Outcome.FAILED else "retried"


def record_outcomes(items: Iterable[ParsedItem], deleted: Collection[int] = ()) -> dict[str, int]:
    """Log and save the outcomes of applied events; return the number of events for each outcome.

    Args:
        items: the applied events.
        deleted: primary keys of events whose rows are deleted already; these are only counted and logged.
    """
    now = timezone.now()
    groups: dict[tuple[Outcome, str], list[int]] = {}
    counts: Counter[str] = Counter()
    for item in items:
        parse.log_outcome(item.event, item.parsed)
        counts["other_server"] += item.parsed.is_other_server
        groups.setdefault((item.parsed.outcome, item.parsed.reason[:MAX_REASON_CHARS]), []).append(item.event.pk)
    for (outcome, reason), pks in groups.items():
        counts[str(outcome)] += len(pks)
        if kept := [pk for pk in pks if pk not in deleted]:
            WebhookEvent.objects.filter(pk__any_of=kept).update(outcome=outcome, reason=reason, finished_at=now)
    return counts


def _count_coalesced(items: Iterable[ParsedItem]) -> int:
    """Return how many latest-state facts are redundant because another fact of the batch has the same subject."""
    names = (*LATEST_STATE, ACKNOWLEDGEMENT)
    keys = [key for item in items if item.event.name in names for key in map(_state_key, item.parsed.facts) if key]
    return len(keys) - len(set(keys))


def _count_unsupported(items: Iterable[ParsedItem]) -> int:
    """Return how many chat messages have content that no table describes."""
    facts = (fact for item in items for fact in item.parsed.facts)
    return sum(isinstance(fact, MessageCopy) and fact.kind == Message.Kind.UNKNOWN for fact in facts)


def _state_key(fact: Fact) -> object:
    """Return what a latest-state fact is about, as a key for comparison; return None for other kinds of facts."""
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
