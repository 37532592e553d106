"""Numbers, flags and times as Evolution writes them: three encodings of one integer, depending on version and event."""

import datetime as dt
import json
import re
from collections.abc import Callable, Iterable
from typing import Any

Json = dict[str, Any]

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

_CLOCK = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z?")
LONGEST_KEY = 255  # characters of a message's key id
_INT32, _INT64 = 2**31, 2**63
_SECONDS_END = 10**11  # a timestamp from here on is in milliseconds
_MS_END = 10**14  # the year 5138


# Of equal values the same text, whatever the order of their members was.
canonical_json: Callable[[Any], str] = json.JSONEncoder(sort_keys=True, default=str).encode


class UnknownShapeError(ValueError):
    """The payload has a form that this reader does not know; the text says which part."""


def require_object(value: object, what: str) -> Json:
    """Return `value`, a JSON object.

    Raises:
        UnknownShapeError: it is something else.
    """
    if not isinstance(value, dict):
        raise UnknownShapeError(f"{what} is not an object")
    return value


def as_list(data: object) -> list[Any]:
    """Return the items of an event that may come as one object or as an array of them; null is none."""
    if data is None:
        return []
    return data if isinstance(data, list) else [data]


def text(value: object, limit: int | None = None) -> str:
    """Return a text, cut to `limit` characters; "" for what is no text."""
    return value[:limit] if isinstance(value, str) else ""


def one_of(value: object, allowed: Iterable[str]) -> str:
    """Return a text that is one of `allowed`; "" for anything else."""
    return value if isinstance(value, str) and value in allowed else ""


def key_id(value: object) -> str:
    """Return a message's key id; "" for what is none, or too long to be one."""
    return value if isinstance(value, str) and len(value) <= LONGEST_KEY else ""


def small_integer(value: object) -> int | None:
    """Return an integer of at most 32 bits; None for what is none."""
    number = integer(value)
    return number if number is not None and -_INT32 <= number < _INT32 else None


def integer(value: object) -> int | None:
    """Return an integer given as a number, as a decimal string or as `{low, high}` (two's complement halves).

    None for what is none, or has more than 64 bits.
    """
    number = _number(value)
    return number if number is not None and -_INT64 <= number < _INT64 else None


def _number(value: object) -> int | None:
    if isinstance(value, dict) and isinstance(value.get("low"), int) and isinstance(value.get("high"), int):
        return int(value["high"]) * 2**32 + (int(value["low"]) & 0xFFFFFFFF)
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,20}", value):
        return int(value)
    if isinstance(value, float) and not value.is_integer():
        return None
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def milliseconds(value: object) -> int | None:
    """Return a moment in ms since the epoch, from seconds or milliseconds; None for what is no moment."""
    number = integer(value)
    if number is None or number < 0:
        return None
    number = number if number >= _SECONDS_END else number * 1000
    return number if number < _MS_END else None


def from_ms(ms: int) -> dt.datetime:
    """Return the UTC time of a number of milliseconds since the epoch."""
    return EPOCH + dt.timedelta(milliseconds=ms)


def ms_of(time: dt.datetime) -> int:
    """Return a time's milliseconds since the epoch."""
    return round(time.timestamp() * 1000)


def sortable_clock(date_time: object) -> str:
    """Return Evolution's `date_time` in a form that sorts; "" when there is none.

    It is the host's wall clock with a false Z: good to order what one server says of one thing, and nothing else.
    """
    match = _CLOCK.fullmatch(date_time) if isinstance(date_time, str) else None
    return f"{match[1]}.{(match[2] or '')[:3]:0<3}" if match else ""


def clock_ms(reading: str) -> int:
    """Return a clock reading as if its Z were true, in ms since the epoch; 0 for ""."""
    try:
        return ms_of(dt.datetime.fromisoformat(f"{reading}+00:00"))
    except ValueError:
        return 0


def iso_ms(value: object) -> int | None:
    """Return an ISO-8601 time in ms since the epoch; None for what is no time."""
    try:
        time = dt.datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    if time is None or not 1970 < time.year < 5138:  # noqa: PLR2004 - the years of `milliseconds`
        return None
    return ms_of(time if time.tzinfo else time.replace(tzinfo=dt.UTC))
