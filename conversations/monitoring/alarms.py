"""Raises and ends alarms: each once, however many processes there are, and queues messages about them.

An open alarm is a row that a unique constraint permits once. Its messages are queued by the process that sets
`announced_at`, and those about its end by the process that sets `ended_at`, in the same transaction. A channel that is
set up later hears of the alarms that are still open.
"""

import datetime as dt
from collections.abc import Iterable

from django.conf import settings
from django.db import transaction

from conversations.models import Alarm, AlarmMessage
from conversations.monitoring import memory, rules, state
from conversations.monitoring.rules import BY_KIND, Finding
from logs.contexts import Context

EVALUATION_SECONDS = 5.0
log = Context.GENERAL.logger


def evaluate() -> None:
    """Read the state of the site, and raise and end alarms.

    Raises:
        DatabaseError, InterfaceError: the database is unavailable.
    """
    memory.remember_refusals()
    present = state.read()
    settle(rules.find_all(present), present.at)


def settle(findings: Iterable[Finding], now: dt.datetime) -> None:
    """Raise an alarm for each new finding, and end the alarms that are no longer found."""
    found = {(finding.kind, finding.subject): finding for finding in findings}
    known = set(Alarm.objects.filter(ended_at=None).values_list("kind", "subject"))
    new = [finding for key, finding in found.items() if key not in known]
    Alarm.objects.bulk_create([Alarm(**finding._asdict(), since=now) for finding in new], ignore_conflicts=True)
    for alarm in Alarm.objects.filter(ended_at=None):
        if (alarm.kind, alarm.subject) not in found:
            _end(alarm, now)
        elif alarm.announced_at is None and _is_patience_over(alarm, now):
            _announce(alarm, now)
    _tell_new_channels()


def finding_of(alarm: Alarm) -> Finding:
    """Return what an alarm says."""
    return Finding(alarm.kind, alarm.subject, alarm.name, alarm.detail)


def _is_patience_over(alarm: Alarm, now: dt.datetime) -> bool:
    patience = BY_KIND[alarm.kind].patience
    return patience is not None and now - alarm.since >= dt.timedelta(seconds=patience)


def _announce(alarm: Alarm, now: dt.datetime) -> None:
    with transaction.atomic():
        if Alarm.objects.filter(pk=alarm.pk, announced_at=None, ended_at=None).update(announced_at=now):
            _queue(alarm, is_recovery=False)
            log.warning("Alarm RAISED: %s", finding_of(alarm).sentence, extra={"alarm": alarm.kind})


def _end(alarm: Alarm, now: dt.datetime) -> None:
    with transaction.atomic():
        is_ended = Alarm.objects.filter(pk=alarm.pk, ended_at=None).update(ended_at=now)
        if is_ended and alarm.announced_at is not None:
            _queue(alarm, is_recovery=True)
            log.warning("Alarm ENDED: %s", finding_of(alarm).sentence, extra={"alarm": alarm.kind})


def _queue(alarm: Alarm, *, is_recovery: bool) -> None:
    messages = [
        AlarmMessage(alarm=alarm, channel=channel, is_recovery=is_recovery) for channel in settings.ALARM_CHANNELS
    ]
    AlarmMessage.objects.bulk_create(messages, ignore_conflicts=True)


def _tell_new_channels() -> None:
    """Queue messages about open alarms that were announced before a channel was set up."""
    announced = Alarm.objects.filter(ended_at=None).exclude(announced_at=None)
    for channel in settings.ALARM_CHANNELS:
        told = AlarmMessage.objects.filter(channel=channel, is_recovery=False, alarm__ended_at=None).values("alarm")
        messages = [
            AlarmMessage(alarm=alarm, channel=channel, is_recovery=False) for alarm in announced.exclude(pk__in=told)
        ]
        AlarmMessage.objects.bulk_create(messages, ignore_conflicts=True)
