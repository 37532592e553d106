"""The table of the plots, and the pure functions that prepare them for the template."""

import datetime as dt
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from conversations.admin.plots import Plot, Point, draw
from conversations.monitoring import history, series
from conversations.monitoring.history import Figures
from conversations.monitoring.series import Change, Part, Period

UNKNOWN = "-"
SECONDS_IN_FULL = 10.0  # shorter times are shown with a decimal
MINUTE = 60.0
LEAST_PARTS = 10  # parts that a plot shows at least


def format_count(value: float | None) -> str:
    """Return a number with at most one decimal."""
    if value is None:
        return UNKNOWN
    decimals = 0 if value == round(value) or value >= 100 else 1  # noqa: PLR2004 - a decimal says nothing then
    return number_format(round(value, 1), decimals, force_grouping=True)


def format_share(value: float | None) -> str:
    """Return a share as a percentage."""
    return UNKNOWN if value is None else f"{number_format(math.floor(value * 1000) / 10, 1)} %"


def format_seconds(value: float | None) -> str:
    """Return a time in the unit that suits it."""
    if value is None:
        return UNKNOWN
    if value < 1:
        return f"{number_format(round(value * 1000), 0)} ms"
    if value < 2 * MINUTE:
        return f"{number_format(value, 1 if value < SECONDS_IN_FULL else 0)} s"
    return f"{number_format(round(value / MINUTE), 0, force_grouping=True)} min"


@dataclass(frozen=True)
class Chart:
    """What one plot shows.

    Attributes:
        name: names the plot in the page.
        title: its title.
        help: what exactly it shows.
        value: returns the value of one part of the period.
        format: returns a value as text.
        headline: returns the figure of the whole period as text.
        is_line: whether to draw a line instead of bars.
        least_top: the least value at the upper edge.
        most_top: the greatest value at the upper edge.
    """

    name: str
    title: Any
    help: Any
    value: Callable[[Change], float | None]
    format: Callable[[float | None], str]
    headline: Callable[[Change], str]
    is_line: bool = False
    least_top: float = 5.0
    most_top: float = math.inf


CHARTS = (
    Chart(
        "messages",
        gettext_lazy("Messages a minute"),
        gettext_lazy("New messages in both directions; imports of old ones do not count."),
        lambda change: change.messages_a_minute,
        format_count,
        lambda change: _("%(count)s in total") % {"count": format_count(change.messages)},
    ),
    Chart(
        "lag",
        gettext_lazy("Ingestion lag"),
        gettext_lazy("95 % of the new events are applied within this time after their receipt."),
        lambda change: change.lag,
        format_seconds,
        lambda change: format_seconds(change.lag),
        is_line=True,
        least_top=1.0,
    ),
    Chart(
        "backlog",
        gettext_lazy("Backlog"),
        gettext_lazy("New events that wait to be applied."),
        lambda change: change.waiting,
        format_count,
        lambda change: _("%(count)s now") % {"count": format_count(change.waiting)},
        is_line=True,
    ),
    Chart(
        "failures",
        gettext_lazy("Failures"),
        gettext_lazy("Events that could not be applied, refused webhooks, and errors of the server."),
        lambda change: change.failures,
        format_count,
        lambda change: (
            _("%(failed)s failed, %(refused)s refused, %(errors)s errors")
            % {name: format_count(getattr(change, name)) for name in ("failed", "refused", "errors")}
        ),
    ),
    Chart(
        "hit-rate",
        gettext_lazy("Cache hit rate"),
        gettext_lazy("The share of the cached reads that a cache answered."),
        lambda change: change.hit_rate,
        format_share,
        lambda change: format_share(change.hit_rate),
        is_line=True,
        least_top=1.0,
        most_top=1.0,
    ),
    Chart(
        "saved",
        gettext_lazy("Reads saved by the cache"),
        gettext_lazy("Reads a minute that did not reach the database, because a cache answered them."),
        lambda change: change.cache_hits / change.minutes if change.minutes else None,
        format_count,
        lambda change: _("%(count)s in total") % {"count": format_count(change.cache_hits)},
    ),
)


@dataclass(frozen=True)
class Panel:
    """A chart of one period, prepared for the template; `values` are the texts of all parts."""

    chart: Chart
    headline: str
    top: str
    highest: str
    plot: Plot
    values: tuple[str, ...]


@dataclass(frozen=True)
class Board:
    """All charts of one period, and the times of its parts.

    Attributes:
        since: the time from which on figures are known, or "" if they are known from the beginning of the period.
    """

    panels: tuple[Panel, ...]
    times: tuple[str, ...]
    end: str
    since: str = ""

    @property
    def middle(self) -> str:
        """The time in the middle of the period."""
        return self.times[len(self.times) // 2]

    @property
    def rows(self) -> list[tuple[str, tuple[str, ...]]]:
        """The time and the texts of each part, the latest first, for those who do not see the plots."""
        values = zip(*(panel.values for panel in self.panels), strict=True)
        return list(zip(self.times, values, strict=True))[::-1]


def board(
    remembered: Sequence[Figures], present: Figures, period: Period, charts: Sequence[Chart] = CHARTS
) -> Board | None:
    """Return the charts of a period; None if nothing can be drawn yet, because a change needs two remembered minutes.

    If the site began to run within the period, earlier parts are left out, but at least `LEAST_PARTS` parts are shown.

    Args:
        remembered: the counters of the minutes of the period, in the order of time.
        present: the counters now, which the figures of the whole period include.
        period: the period.
        charts: what to show.
    """
    parts = series.parts(remembered, period) if remembered else []
    if not any(part.change for part in parts):
        return None
    total = series.change([*remembered, present])
    since = _time(remembered[0].at) if remembered[0].at > parts[0].at else ""
    unknown = sum(part.at + period.step * history.MINUTE <= remembered[0].at for part in parts)
    parts = parts[min(unknown, len(parts) - LEAST_PARTS) :]
    times = tuple(_time(part.at) for part in parts)
    panels = tuple(_panel(chart, parts, times, total) for chart in charts)
    return Board(panels, times, end=_time(parts[-1].at + period.step * history.MINUTE), since=since)


def board_context(
    remembered: Sequence[Figures], present: Figures, period: Period, charts: Sequence[Chart] = CHARTS
) -> dict[str, Any]:
    """Return what the template of the charts shows: the charts, or when they begin if that is known; see `board`."""
    begin = remembered[-1].at + history.MINUTE if remembered else 0.0
    is_ahead = begin + history.REMEMBER_SECONDS > present.at
    return {"board": board(remembered, present, period, charts), "plots_begin": _time(begin) if is_ahead else ""}


def _panel(chart: Chart, parts: Sequence[Part], times: Sequence[str], total: Change) -> Panel:
    values = [part.change and chart.value(part.change) for part in parts]
    texts = tuple(map(chart.format, values))
    points = [Point(value, f"{time}: {text}") for time, value, text in zip(times, values, texts, strict=True)]
    plot = draw(points, is_line=chart.is_line, least_top=chart.least_top, most_top=chart.most_top)
    highest = max((value for value in values if value is not None), default=None)
    return Panel(
        chart,
        headline=chart.headline(total),
        top=chart.format(plot.top),
        highest=chart.format(highest),
        plot=plot,
        values=texts,
    )


def _time(at: float) -> str:
    return date_format(timezone.localtime(dt.datetime.fromtimestamp(at, dt.UTC)), "TIME_FORMAT")
