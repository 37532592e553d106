"""The home page: the whole page, and the part of it that changes, which the page's script fetches again."""

import datetime as dt
from collections.abc import Collection
from typing import Any

from django.db.models import Q
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils import timezone

from conversations.admin.access import access_of, may_view
from conversations.admin.alarm import what_was_wrong
from conversations.admin.home.charts import board_context
from conversations.admin.home.needs import groups, tiles
from conversations.models import Alarm
from conversations.monitoring import attention, history, reading, state
from conversations.monitoring.series import HOUR, PERIODS, Period
from conversations.monitoring.state import State

LIVE = "live"  # the part
LIVE_TEMPLATE = "admin/home/live.html"
ENDED_ALARMS = dt.timedelta(days=1)  # how long the page shows an alarm that has ended
MAX_ALARMS = 10


def live_part(request: HttpRequest) -> TemplateResponse | None:
    """Return the part of the page that changes, if the request asks for it."""
    return TemplateResponse(request, LIVE_TEMPLATE, context(request)) if request.GET.get("part") == LIVE else None


def context(request: HttpRequest) -> dict[str, Any]:
    """Return what the templates show to the user: figures of the whole site are for superusers."""
    instances = access_of(request).instances()
    period = PERIODS.get(request.GET.get("period", ""), HOUR)
    present, charts = (state.read(), {}) if instances is not None else _with_charts(period)
    needs = attention.needs(instances, present)
    numbers = [number for number in present.numbers if instances is None or number.pk in instances]
    return {
        "tiles": tiles(numbers, needs),
        "has_numbers": bool(numbers),
        "groups": groups(needs, request.user.has_perm),
        "shows_alarms": (shows_alarms := may_view(request, "alarm")),
        "alarms": _alarms(instances) if shows_alarms else [],
        "shows_charts": instances is None,
        **charts,
        "period": period,
        "periods": PERIODS.values(),
    }


def _with_charts(period: Period) -> tuple[State, dict[str, Any]]:
    current = reading.read()
    return current.state, board_context(history.load(period.minutes), history.figures_of(current), period)


def _alarms(instances: Collection[int] | None) -> list[tuple[Alarm, str]]:
    """Return the alarms that are open or have ended recently, each with what was wrong, the open ones first."""
    rows = Alarm.objects.filter(Q(ended_at=None) | Q(ended_at__gt=timezone.now() - ENDED_ALARMS))
    rows = rows.exclude(announced_at=None)
    if instances is not None:
        rows = rows.filter(subject__in=instances)
    found = sorted(rows.order_by("-since")[:MAX_ALARMS], key=lambda alarm: alarm.ended_at is not None)
    return [(alarm, what_was_wrong(alarm)) for alarm in found]
