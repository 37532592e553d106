"""Sends the queued messages about alarms: those that are due together in one e-mail or one request.

A message is tried `MAX_ATTEMPTS` times, with growing pauses. A process that dies while it sends leaves the message due
again, so a message may rarely arrive twice.
"""

import datetime as dt
import json
from collections.abc import Callable, Sequence
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.db.models import F, Q
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from conversations.db.due_times import due
from conversations.models import Alarm, AlarmMessage
from conversations.monitoring.alarms import finding_of
from conversations.monitoring.details import translate_detail
from conversations.monitoring.http_client import send
from conversations.monitoring.rules import BY_KIND
from logs.contexts import Context

SENDING_SECONDS = 5.0  # between two looks for due messages
TIMEOUT = 10.0  # seconds for a server to take a message
MAX_ATTEMPTS = 8
FIRST_RETRY = dt.timedelta(seconds=30)  # doubles with each attempt: the last attempt is an hour after the first
SKEW_LIMIT = FIRST_RETRY * 2 ** (MAX_ATTEMPTS - 1)  # a host with a wrong clock put off what is due further ahead
MAX_MESSAGES = 100  # in one e-mail or request
KEPT = dt.timedelta(days=1)  # a message that is due for longer is not sent: its channel was turned off
log = Context.GENERAL.logger

Channel = AlarmMessage.Channel


def send_due(channel: str) -> None:
    """Send the due messages of a channel.

    Raises:
        DatabaseError, InterfaceError: the database is unavailable.
    """
    now = timezone.now()
    rows = AlarmMessage.objects.filter(channel=channel, sent_at=None, due_at__gt=now - KEPT)
    rows = rows.filter(Q(attempts=0) | due("due_at", now, SKEW_LIMIT))
    messages = list(rows.filter(attempts__lt=MAX_ATTEMPTS).select_related("alarm").order_by("pk")[:MAX_MESSAGES])
    if not messages:
        return
    for message in messages:  # before they are sent, so that a message that cannot be sent is not sent for ever
        message.due_at = now + FIRST_RETRY * 2**message.attempts
        message.attempts += 1
    AlarmMessage.objects.bulk_update(messages, ["due_at", "attempts"])
    try:
        _SENDERS[channel](messages)
    except Exception as error:  # noqa: BLE001 - whatever a mail server or its library raises, the message is tried again
        is_last = all(message.attempts >= MAX_ATTEMPTS for message in messages)
        text = "given up" if is_last else "tried again later"
        log.error("Alarm NOT SENT by %s: %s; %s", channel, type(error).__name__, text)  # noqa: TRY400 - a traceback may quote the password
    else:
        AlarmMessage.objects.filter(pk__in=[message.pk for message in messages]).update(sent_at=F("due_at"))


def paragraph(message: AlarmMessage) -> str:
    """Return a paragraph with the number, the fault, its time, advice, and a link to the page of the alarm."""
    alarm = message.alarm
    values = {"alarm": finding_of(alarm).translated, "time": _utc(alarm.since), "advice": _advice(alarm)}
    if message.is_recovery:
        values["end"] = _utc(alarm.ended_at or alarm.since)
        text = _("Over: %(alarm)s. It lasted from %(time)s to %(end)s UTC.") % values
    else:
        text = _("%(alarm)s, since %(time)s UTC. What to do: %(advice)s") % values
    return f"{text}\n{_url(alarm)}"


def _utc(moment: dt.datetime) -> str:
    return date_format(moment.astimezone(dt.UTC), "SHORT_DATETIME_FORMAT")


def _advice(alarm: Alarm) -> str:
    return _(BY_KIND[alarm.kind].advice)


def _url(alarm: Alarm) -> str:
    """Return the address of the alarm in the admin, which leads to its number."""
    return settings.PUBLIC_URL + reverse("admin:conversations_alarm_change", args=[alarm.pk])


def _send_email(messages: Sequence[AlarmMessage]) -> None:
    first = messages[0]
    title = finding_of(first.alarm).translated
    if first.is_recovery:
        title = _("over: %(alarm)s") % {"alarm": title}
    others = len(messages) - 1
    more = " " + ngettext("and %(count)d more", "and %(count)d more", others) % {"count": others} if others else ""
    subject = f"[WhatsAI] {title}{more}"
    body = "\n\n".join(map(paragraph, messages))
    EmailMessage(" ".join(subject.split()), body, settings.DEFAULT_FROM_EMAIL, settings.ALARM_EMAIL).send()


def _send_webhook(messages: Sequence[AlarmMessage]) -> None:
    content = {"text": "\n\n".join(map(paragraph, messages)), "alarms": [_as_json(message) for message in messages]}
    headers, body = {"Content-Type": "application/json"}, json.dumps(content).encode()
    with send(settings.ALARM_WEBHOOK_URL, headers, body, timeout=TIMEOUT) as response:
        response.read(1)


def _as_json(message: AlarmMessage) -> dict[str, Any]:
    alarm = message.alarm
    return {
        "id": alarm.pk,
        "kind": alarm.kind,
        "state": "ended" if message.is_recovery else "raised",
        "instance_id": alarm.subject or None,
        "instance": alarm.name,
        "title": _(BY_KIND[alarm.kind].title),
        "detail": translate_detail(alarm.detail),
        "advice": _advice(alarm),
        "url": _url(alarm),
        "since": alarm.since.isoformat(),
        "ended_at": alarm.ended_at.isoformat() if alarm.ended_at else None,
    }


_SENDERS: dict[str, Callable[[Sequence[AlarmMessage]], None]] = {
    Channel.EMAIL: _send_email,
    Channel.WEBHOOK: _send_webhook,
}
