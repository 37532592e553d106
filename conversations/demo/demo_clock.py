"""The demo's time: it ends on a fixed day, in the offices' time zone, whenever it is loaded.

Moments are milliseconds since the epoch.
"""

import datetime as dt

SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

# São Paulo and Rio de Janeiro have had no daylight saving time since 2019.
OFFSET = -3 * HOUR

END = int(dt.datetime(2026, 11, 20, 18, tzinfo=dt.UTC).timestamp()) * SECOND
CONNECTED = END - 31 * HOUR  # the day before at 8:00 there: the numbers have just been connected
OPENS, CLOSES = 8, 19  # hours of the day, there

_WEEKDAYS = {
    "pt": ("segunda", "terça", "quarta", "quinta", "sexta", "sábado", "domingo"),
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
}
_GREETINGS = {
    "pt": ("bom dia", "boa tarde", "boa noite"),
    "en": ("good morning", "good afternoon", "good evening"),
}
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_SUNDAY = 6


def utc(at: int) -> dt.datetime:
    """Return the moment as a time."""
    return _EPOCH + dt.timedelta(milliseconds=at)


def wall_clock(at: int) -> dt.datetime:
    """Return what a clock in the office shows; its zone is a pretence, as in Evolution's `date_time`."""
    return utc(at + OFFSET)


def date_time(at: int) -> str:
    """Return the moment as Evolution writes `date_time`: the host's wall clock with a false Z."""
    return wall_clock(at).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def at_hour(day: int, hours: float) -> int:
    """Return the moment of that hour, in the office, on the day that `day` falls on."""
    midnight = (day + OFFSET) // DAY * DAY - OFFSET
    return midnight + round(hours * HOUR)


def hour(at: int) -> float:
    """Return the time of the day, in the office, in hours."""
    return (at + OFFSET) % DAY / HOUR


def weekday(at: int, language: str) -> str:
    """Return the day's name; on a Sunday, the next day's."""
    day = wall_clock(at).weekday()
    return _WEEKDAYS[language][0 if day == _SUNDAY else day]


def greeting(at: int, language: str) -> str:
    """Return what one says at that hour."""
    hour = wall_clock(at).hour
    return _GREETINGS[language][(hour >= 12) + (hour >= 18)]  # noqa: PLR2004 - noon and six o'clock
