"""What an operator wants to know of the inbox: what waits, how late it is, how far imports are, what has failed."""

import datetime as dt
from dataclasses import dataclass

from django.db.models import Count, Min, Q
from django.utils import timezone

from conversations.ingest import metrics
from conversations.models import WebhookEvent

Outcome = WebhookEvent.Outcome
MAX_COUNTED = 200_000  # events that wait are counted up to here, so that looking costs little


@dataclass(frozen=True)
class Import:
    """A history import that is under way: so many of its parts are applied."""

    instance: str
    received_at: dt.datetime
    applied: int
    parts: int


@dataclass(frozen=True)
class Status:
    """The inbox as it is now.

    Attributes:
        waiting: events that are stored and not yet applied, `COUNTED` at most.
        retried: how many of them have failed before.
        late: for how many seconds the longest waiting has been due.
        failed: events that were given up, and can be replayed.
        imports: the oldest first.
        counts: how often what has happened, see `counts.py`.
    """

    waiting: int
    retried: int
    late: float
    failed: int
    imports: tuple[Import, ...]
    counts: dict[str, int]


def read(instance: int | None = None) -> Status:
    """Read the status of one instance, or of all."""
    events = WebhookEvent.objects.order_by()
    if instance is not None:
        events = events.filter(instance=instance)
    stored = events.filter(outcome=Outcome.STORED)
    seen = stored[:MAX_COUNTED].aggregate(
        waiting=Count("pk"), retried=Count("pk", filter=Q(attempts__gt=0)), due=Min("due_at")
    )
    return Status(
        waiting=seen["waiting"],
        retried=seen["retried"],
        late=max(0.0, (timezone.now() - seen["due"]).total_seconds()) if seen["due"] else 0.0,
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
