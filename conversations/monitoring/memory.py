"""Remembers what the rules compare the present with: in which hours numbers had events, and refused webhooks."""

import datetime as dt

from django.utils import timezone

from conversations.models import ActiveHour, Alarm, IngestCounter, IngestLease, Instance, RefusalMark
from conversations.monitoring.rules import REFUSED_FOR
from conversations.monitoring.state import USUAL_DAYS, hour_of

KEPT_ALARMS = dt.timedelta(days=90)
KEPT_HOURS = 24 * (max(USUAL_DAYS) + 1)
ACTIVITY_SECONDS = 600.0


def remember_activity() -> None:
    """Store in which hour each number last had events, and delete what is too old. Call it some times an hour."""
    now = timezone.now()
    recent = IngestLease.objects.filter(next_at__gt=now - dt.timedelta(seconds=2 * ACTIVITY_SECONDS))
    # The next batch of a busy number is always ahead.
    rows = [ActiveHour(instance_id=pk, hour=hour_of(min(at, now))) for pk, at in recent.values_list("pk", "next_at")]
    ActiveHour.objects.bulk_create(rows, ignore_conflicts=True)
    ActiveHour.objects.filter(hour__lt=hour_of(now) - KEPT_HOURS).delete()
    Alarm.objects.filter(ended_at__lt=now - KEPT_ALARMS).delete()


def remember_refusals() -> None:
    """Store of which instances the number of refused webhooks has grown since the last call.

    At its first call for an instance, what was refused before is new only if the instance is.
    """
    now = timezone.now()
    marks = RefusalMark.objects.in_bulk()
    counts = dict(IngestCounter.objects.filter(name="refused").values_list("instance", "value"))
    created = Instance.objects.order_by("pk").values_list("pk", "created_at")
    unknown = {pk: now - at < REFUSED_FOR for pk, at in created if pk not in marks}
    new = [
        RefusalMark(pk=pk, value=counts.get(pk, 0), grew_at=now if is_new and counts.get(pk) else None)
        for pk, is_new in unknown.items()
    ]
    RefusalMark.objects.bulk_create(new, ignore_conflicts=True)
    grown = [mark for pk, mark in marks.items() if counts.get(pk, 0) != mark.value]
    for mark in grown:
        value = counts.get(mark.pk, 0)
        mark.grew_at = now if value > mark.value else mark.grew_at
        mark.value = value
    RefusalMark.objects.bulk_update(grown, ["value", "grew_at"])
