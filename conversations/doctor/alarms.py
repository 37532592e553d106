"""Examines whether somebody would hear of an alarm."""

from collections.abc import Iterator
from contextlib import closing

from django.conf import settings
from django.core.mail import get_connection
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from conversations.doctor.findings import Finding, problem, warning
from conversations.models import AlarmMessage
from conversations.monitoring.sending import KEPT


def examine() -> Iterator[Finding]:
    """Examine the settings of alarms and the mail server."""
    if not settings.ALARM_CHANNELS and not settings.METRICS_KEY:
        yield warning(_("nobody hears of alarms; set ALARM_EMAIL, ALARM_WEBHOOK_URL, or METRICS_KEY for Prometheus"))
    if settings.ALARM_EMAIL:
        yield from _examine_mail()


def _examine_mail() -> Iterator[Finding]:
    try:
        with closing(get_connection()) as mail:
            mail.open()
    except (OSError, ValueError) as error:  # smtplib's errors are OSErrors; passwords and names must be ASCII
        text = _("the mail server of EMAIL_URL cannot be used, so alarms are not sent: %(error)s")
        yield problem(text % {"error": getattr(error, "strerror", None) or type(error).__name__})


def examine_messages() -> Iterator[Finding]:
    """Report messages about alarms that could not be sent so far; the database must be usable."""
    unsent = Q(channel__in=settings.ALARM_CHANNELS, sent_at=None, attempts__gt=0, due_at__gt=timezone.now() - KEPT)
    count = AlarmMessage.objects.filter(unsent).count()
    if count:
        text = ngettext(
            "%(count)d message about an alarm could not be sent; `manage.py logs` tells why (Alarm NOT SENT)",
            "%(count)d messages about alarms could not be sent; `manage.py logs` tells why (Alarm NOT SENT)",
            count,
        )
        yield problem(text % {"count": count})
