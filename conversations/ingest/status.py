"""The inbox's status for operators: queue depth, delay, running history imports, failed events and counters."""

import datetime as dt
from dataclasses import dataclass

from django.db.models import Count, Min, Q
from django.utils import timezone

from conversations.ingest import metrics
from conversations.models import WebhookEvent

Outcome = WebhookEvent.Outcome
MAX_COUNTED = 200_000  # maximum number of events that a query counts, so that the queries stay cheap


@dataclass(frozen=True)
class Import:
    """A history import in progress: the number of its parts, and the number of parts applied so far."""

    instance: str
    received_at: dt.datetime
    applied: int
    parts: int


@dataclass(frozen=True)
class Status:
    """The current state of the inbox.

    Attributes:
        waiting: number of stored events that are not applied yet, at most `MAX_COUNTED`.
        retried: number of waiting events that have failed at least once.
        late: seconds since the earliest due time of a waiting event.
        failed: number of events that used up their attempts and can be replayed, at most `MAX_COUNTED`.
        imports: history imports in progress, the oldest import first.
        counts: value of each ingestion counter by its name (see `metrics`).
    """

    waiting: int
    retried: int
    late: float
    failed: int
    imports: tuple[Import, ...]
    counts: dict[str, int]


def read(instance: int | None = None) -> Status:
    """Read the inbox's status for one instance; None stands for all instances."""
    events = WebhookEvent.objects.order_by()
    if instance is not None:
        events = events.filter(instance=instance)
    stored = events.filter(outcome=Outcome.STORED)
    queue = stored[:MAX_COUNTED].aggregate(
        waiting=Count("pk"), retried=Count("pk", filter=Q(attempts__gt=0)), due=Min("due_at")
    )
    return Status(
        waiting=queue["waiting"],
        retried=queue["retried"],
        late=max(0.0, (timezone.now() - queue["due"]).total_seconds()) if queue["due"] else 0.0,
        failed=events.filter(outcome=Outcome.FAILED).values("pk")[:MAX_COUNTED].count(),
        imports=tuple(_imports(instance)),
        counts=metrics.totals() if instance is None else metrics.for_instance(instance),
    )


def _imports(instance: int | None) -> list[Import]:
    waiting = WebhookEvent.objects.filter(outcome=Outcome.STORED, is_history=True)
    if instance is not None:
        waiting = waiting.filter(instance=instance)
    bodies = waiting.values("instance__name", "received_at", "parts").annotate(left=Count("pk")).order_by("received_at")
    return [
        Import(body["instance__name"], body["received_at"], body["parts"] - body["left"], body["parts"])
        for body in bodies
    ]
