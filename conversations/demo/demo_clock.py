"""The demo's time. It ends on a fixed day, whenever the demo is loaded, and uses the offices' time zone.

All times are milliseconds since the epoch.
"""

import datetime as dt

SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

# São Paulo and Rio de Janeiro have had no daylight saving time since 2019.
OFFSET = -3 * HOUR

END = int(dt.datetime(2026, 11, 20, 18, tzinfo=dt.UTC).timestamp()) * SECOND
CONNECTED = END - 31 * HOUR  # when the numbers are connected: the day before, at 8:00 local time
OPENING_HOUR, CLOSING_HOUR = 8, 19  # local time

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
    """Return the time as an aware datetime in UTC."""
    return _EPOCH + dt.timedelta(milliseconds=at)


def utc_text(at: int) -> str:
    """Return the time in ISO 8601 with milliseconds and a Z, as JavaScript writes it."""
    return utc(at).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def local_time(at: int) -> dt.datetime:
    """Return the local wall clock time; its UTC zone is wrong, as in Evolution's `date_time`."""
    return utc(at + OFFSET)


def date_time(at: int) -> str:
    """Return Evolution's `date_time`: the host's wall clock time, with a Z although it is not UTC."""
    return utc_text(at + OFFSET)


def at_hour(day: int, hours: float) -> int:
    """Return the time at this local hour of the day that contains the time `day`."""
    midnight = (day + OFFSET) // DAY * DAY - OFFSET
    return midnight + round(hours * HOUR)


def hour(at: int) -> float:
    """Return the local time of day in hours."""
    return (at + OFFSET) % DAY / HOUR


def weekday(at: int, language: str) -> str:
    """Return the name of the weekday; a Sunday becomes Monday, because nothing is promised for a Sunday."""
    day = local_time(at).weekday()
    return _WEEKDAYS[language][0 if day == _SUNDAY else day]


def greeting(at: int, language: str) -> str:
    """Return the greeting for the local time of day."""
    hour = local_time(at).hour
    return _GREETINGS[language][(hour >= 12) + (hour >= 18)]  # noqa: PLR2004 - noon and six o'clock
