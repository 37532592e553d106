"""The status of ingestion for operators: queue depth, delay, running history imports, failed events and counters."""

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass
from typing import TypeVar

from django.db.models import Count, Min, Model, Q, QuerySet, Sum
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from conversations.ingest import metrics
from conversations.models import IngestCounter, Instance, WebhookEvent

Row = TypeVar("Row", bound=Model)
Outcome = WebhookEvent.Outcome
# Counter → what its events are, for the counters that hint at wrong settings in Evolution.
WARNINGS = {
    "refused": _("refused, because the webhook token was missing or wrong; Evolution has dropped them"),
    "foreign": _("posted with the token of this instance, but are about another one"),
    "other_server": _("from another Evolution server than that of the instance"),
}
MAX_WARNINGS = 50
WARNED_FOR = dt.timedelta(days=7)  # since the latest such event
MAX_COUNTED = 200_000  # maximum number of events that a query counts, so that the queries stay cheap


@dataclass(frozen=True)
class Import:
    """A history import in progress: the number of its parts, and the number of parts applied so far."""

    instance: str
    received_at: dt.datetime
    applied: int
    parts: int


@dataclass(frozen=True)
class SettingsWarning:
    """A number of an instance's events that hints at wrong settings in Evolution; `meaning` says what they are."""

    instance: Instance
    count: int
    meaning: str


@dataclass(frozen=True)
class Status:
    """The current state of ingestion.

    Attributes:
        waiting: number of stored events that are not applied yet, at most `MAX_COUNTED`.
        retried: number of waiting events that have failed at least once.
        late: seconds since the earliest due time of a waiting event.
        failed: number of events that used up their attempts and can be replayed, at most `MAX_COUNTED`.
        failed_size: the bytes of the failed events that were counted.
        imports: history imports in progress, the oldest import first.
        warnings: what hinted at wrong settings in Evolution within `WARNED_FOR`, the highest numbers first, at most
            `MAX_WARNINGS`.
        counts: value of each ingestion counter by its name (see `metrics`).
    """

    waiting: int
    retried: int
    late: float
    failed: int
    failed_size: int
    imports: tuple[Import, ...]
    warnings: tuple[SettingsWarning, ...]
    counts: dict[str, int]


def read(instances: Collection[int] | None = None) -> Status:
    """Read the status of ingestion for some instances; None stands for all instances."""
    events = _of(instances, WebhookEvent.objects.order_by())
    stored = events.filter(outcome=Outcome.STORED)
    queue = stored[:MAX_COUNTED].aggregate(
        waiting=Count("pk"), retried=Count("pk", filter=Q(attempts__gt=0)), due=Min("due_at")
    )
    failed = events.filter(outcome=Outcome.FAILED)[:MAX_COUNTED].aggregate(
        count=Count("pk"), size=Sum("size", default=0)
    )
    return Status(
        waiting=queue["waiting"],
        retried=queue["retried"],
        late=max(0.0, (timezone.now() - queue["due"]).total_seconds()) if queue["due"] else 0.0,
        failed=failed["count"],
        failed_size=failed["size"],
        imports=tuple(_imports(instances)),
        warnings=tuple(_warnings(instances)),
        counts=metrics.totals(instances),
    )


def _of(instances: Collection[int] | None, rows: QuerySet[Row]) -> QuerySet[Row]:
    return rows if instances is None else rows.filter(instance__in=instances)


def _imports(instances: Collection[int] | None) -> list[Import]:
    waiting = _of(instances, WebhookEvent.objects.filter(outcome=Outcome.STORED, is_history=True))
    bodies = waiting.values("instance__name", "received_at", "parts").annotate(left=Count("pk")).order_by("received_at")
    return [
        Import(body["instance__name"], body["received_at"], body["parts"] - body["left"], body["parts"])
        for body in bodies
    ]


def _warnings(instances: Collection[int] | None) -> list[SettingsWarning]:
    recent = IngestCounter.objects.filter(counted_at__gt=timezone.now() - WARNED_FOR)
    counters = recent.filter(name__in=WARNINGS, value__gt=0).select_related("instance")
    rows = _of(instances, counters).order_by("-value", "pk")[:MAX_WARNINGS]
    return [SettingsWarning(row.instance, row.value, str(WARNINGS[row.name])) for row in rows]
