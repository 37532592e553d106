"""Converts JSON values to numbers, texts and times.

Evolution encodes an integer in one of three ways, depending on version and event.
"""

import datetime as dt
import json
import re
from collections.abc import Callable, Iterable
from typing import Any

Json = dict[str, Any]

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

MAX_KEY_ID_LENGTH = 255  # characters
_DATE_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z?")
_INT32, _INT64 = 2**31, 2**63
_FIRST_MS_VALUE = 10**11  # a timestamp from here on is in milliseconds, a smaller one in seconds
_MAX_MS = 10**14  # the year 5138


# Equal values give equal text, whatever the order of their object members.
canonical_json: Callable[[Any], str] = json.JSONEncoder(sort_keys=True, default=str).encode


class UnknownShapeError(ValueError):
    """The payload has a shape that the parser does not know. The message names the part and quotes no content."""


def require_object(value: object, description: str) -> Json:
    """Return `value` if it is a JSON object.

    Args:
        value: decoded JSON.
        description: names the value in the error message.

    Raises:
        UnknownShapeError: it is not an object.
    """
    if not isinstance(value, dict):
        raise UnknownShapeError(f"{description} is not an object")
    return value


def as_list(data: object) -> list[Any]:
    """Return a list as it is, one item as a list of one, and null as an empty list."""
    if data is None:
        return []
    return data if isinstance(data, list) else [data]


def text(value: object, limit: int | None = None) -> str:
    """Return a string, cut to `limit` characters; "" for any other type."""
    return value[:limit] if isinstance(value, str) else ""


def one_of(value: object, allowed: Iterable[str]) -> str:
    """Return a string that is in `allowed`; "" for anything else."""
    return value if isinstance(value, str) and value in allowed else ""


def key_id(value: object) -> str:
    """Return a message's key id; "" if it is not a string or exceeds `MAX_KEY_ID_LENGTH`."""
    return value if isinstance(value, str) and len(value) <= MAX_KEY_ID_LENGTH else ""


def int32(value: object) -> int | None:
    """Return an integer of at most 32 bits, in any encoding that `int64` accepts; None for anything else."""
    number = int64(value)
    return number if number is not None and -_INT32 <= number < _INT32 else None


def int64(value: object) -> int | None:
    """Return an integer given as a number, as a decimal string or as `{low, high}` (two's complement halves).

    None for anything else, and for integers of more than 64 bits.
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


def epoch_ms(value: object) -> int | None:
    """Return a timestamp in ms since the epoch, given in seconds or milliseconds; None if it is not a timestamp."""
    number = int64(value)
    if number is None or number < 0:
        return None
    number = number if number >= _FIRST_MS_VALUE else number * 1000
    return number if number < _MAX_MS else None


def from_ms(ms: int) -> dt.datetime:
    """Return the UTC time of a number of milliseconds since the epoch."""
    return EPOCH + dt.timedelta(milliseconds=ms)


def to_ms(time: dt.datetime) -> int:
    """Return a time's milliseconds since the epoch."""
    return round(time.timestamp() * 1000)


def sortable_clock(date_time: object) -> str:
    """Return an envelope's `date_time` as text that sorts by time; "" if it is missing or malformed.

    Evolution writes its host's local time and appends a Z, although the time is not UTC. Compare such a clock only
    with clocks of the same instance.
    """
    match = _DATE_TIME.fullmatch(date_time) if isinstance(date_time, str) else None
    return f"{match[1]}.{(match[2] or '')[:3]:0<3}" if match else ""


def clock_ms(clock: str) -> int:
    """Return a sortable clock in ms since the epoch, as if it were UTC; 0 for ""."""
    try:
        return to_ms(dt.datetime.fromisoformat(f"{clock}+00:00"))
    except ValueError:
        return 0


def iso_ms(value: object) -> int | None:
    """Return an ISO-8601 time in ms since the epoch; None if it is not one."""
    try:
        time = dt.datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    if time is None or not 1970 < time.year < 5138:  # noqa: PLR2004 - the years that `epoch_ms` accepts
        return None
    return to_ms(time if time.tzinfo else time.replace(tzinfo=dt.UTC))
