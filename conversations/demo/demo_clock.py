"""Time in the demo. The caller chooses when the events end, and business hours are in the time zone of São Paulo.

Times of the demo are integers: milliseconds since the Unix epoch.
"""

import datetime as dt

SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

# São Paulo and Rio de Janeiro have had no daylight saving time since 2019.
OFFSET = -3 * HOUR

# The end unless the caller chooses another one: 15:00 local time.
END = int(dt.datetime(2026, 11, 20, 18, tzinfo=dt.UTC).timestamp()) * SECOND
CONNECTED = END - 31 * HOUR  # time when the number `SALES_SP` is connected: 8:00 local time on the day before `END`
OPENING_HOUR, CLOSING_HOUR = 8, 19  # business hours in local time

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
    """Return a time of the demo as an aware datetime in UTC."""
    return _EPOCH + dt.timedelta(milliseconds=at)


def utc_text(at: int) -> str:
    """Return a time of the demo in ISO 8601 with milliseconds and a Z, as JavaScript writes times."""
    return utc(at).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def local_time(at: int) -> dt.datetime:
    """Return the local time as a datetime that wrongly has the zone UTC, as Evolution's `date_time` does."""
    return utc(at + OFFSET)


def date_time(at: int) -> str:
    """Return Evolution's `date_time`: the server's local time, with a Z at the end although the time is not UTC."""
    return utc_text(at + OFFSET)


def at_hour(day: int, hours: float) -> int:
    """Return the time that is `hours` hours after the local midnight before the time `day`."""
    midnight = (day + OFFSET) // DAY * DAY - OFFSET
    return midnight + round(hours * HOUR)


def hour(at: int) -> float:
    """Return the local time of day in hours, with fractions."""
    return (at + OFFSET) % DAY / HOUR


def weekday(at: int, language: str) -> str:
    """Return the name of the weekday, or of Monday for a Sunday, because agents promise nothing for a Sunday."""
    day = local_time(at).weekday()
    return _WEEKDAYS[language][0 if day == _SUNDAY else day]


def greeting(at: int, language: str) -> str:
    """Return the greeting for the local time of day, such as "good morning"."""
    hour = local_time(at).hour
    return _GREETINGS[language][(hour >= 12) + (hour >= 18)]  # noqa: PLR2004 - the greeting changes at 12:00 and 18:00
