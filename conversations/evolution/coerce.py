"""Converts decoded JSON values to numbers, strings and times.

Evolution encodes an integer as a number, a decimal string or `{low, high}`, depending on Evolution's version and on the
event.
"""

import datetime as dt
import json
import re
from collections.abc import Callable, Collection, Iterable
from typing import Any

from conversations.evolution.large_json.values import LargeList
from conversations.evolution.marking import mark as _

Json = dict[str, Any]

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_EPOCH = EPOCH.replace(tzinfo=None)

MAX_KEY_ID_LENGTH = 255  # maximum characters of a chat message's id
MAX_URL_LENGTH = 4096  # maximum characters of a URL
_INT32, _INT64 = 2**31, 2**63
_MAX_SECONDS = 10**11  # the year 5138; a greater number is read as a timestamp in ms, µs or ns
_MAX_MS = 10**14  # the year 5138, in milliseconds since the epoch
_INDEX = re.compile(r"[0-9]{1,9}")  # int() refuses longer texts at some length
_INTEGER = re.compile(r"-?\d{1,20}")
_DECIMAL = re.compile(r"-?\d{1,20}(\.\d{1,9})?")


# Encodes equal JSON values as equal text, because the members of each object are sorted.
canonical_json: Callable[[Any], str] = json.JSONEncoder(sort_keys=True, default=str).encode

NOT_AN_OBJECT = _("%(what)s is not an object")


class UnknownShapeError(ValueError):
    """Raised for JSON whose structure the parser does not know. The error text quotes no content of the JSON."""


def require_object(value: object, description: str) -> Json:
    """Return `value` if it is a JSON object.

    Args:
        value: any decoded JSON value.
        description: the name of the value in the error text, marked for translation.

    Raises:
        UnknownShapeError: `value` is not a JSON object.
    """
    if not isinstance(value, dict):
        raise UnknownShapeError(NOT_AN_OBJECT % {"what": description})
    return value


def require_at_most(limit: int, *persons: Collection[Any]) -> None:
    """Raise an error if an item names more persons than are read; its facts about the others were yielded before.

    Raises:
        UnknownShapeError: there are more than `limit` persons.
    """
    if max(map(len, persons)) > limit:
        raise UnknownShapeError(_("more persons are named than WhatsApp permits, and the last ones were left out"))


def as_list(data: object) -> list[Any]:
    """Return `data` as a list: a list unchanged, None as an empty list, any other value as a list of one item."""
    if data is None:
        return []
    return data if isinstance(data, list) else [data]


def records(data: object) -> Iterable[Any]:
    """Return the records in the member `data` of a body: the items of a list, or `data` itself if it is no list."""
    return data if isinstance(data, LargeList) else as_list(data)


def text(value: object, limit: int | None = None) -> str:
    """Return a string value, cut to `limit` characters; "" if the value is not a string."""
    return value[:limit] if isinstance(value, str) else ""


def url(value: object) -> str:
    """Return a URL; "" if the value is not a string, or has more than `MAX_URL_LENGTH` characters."""
    return value if isinstance(value, str) and len(value) <= MAX_URL_LENGTH else ""


def one_of(value: object, allowed: Iterable[str]) -> str:
    """Return `value` if it is a string in `allowed`; "" otherwise."""
    return value if isinstance(value, str) and value in allowed else ""


def key_id(value: object) -> str:
    """Return WhatsApp's id of a chat message; "" if `value` is not a string or exceeds `MAX_KEY_ID_LENGTH`."""
    return value if isinstance(value, str) and len(value) <= MAX_KEY_ID_LENGTH else ""


def int32(value: object) -> int | None:
    """Convert any value that `int64` accepts to a signed 32-bit integer; None if this is not possible."""
    number = int64(value)
    return number if number is not None and -_INT32 <= number < _INT32 else None


def int64(value: object) -> int | None:
    """Convert a number, a decimal string or `{low, high}` to a signed 64-bit integer; None if this is not possible.

    `low` and `high` are the 32-bit halves of an integer in two's complement.
    """
    number = _number(value)
    return number if number is not None and is_int64(number) else None


def is_int64(number: int) -> bool:
    """Return whether a number fits a signed 64-bit integer."""
    return -_INT64 <= number < _INT64


def is_index(name: str) -> bool:
    """Return whether the name of a member is an index, as in a JSON object that Node.js writes for a buffer."""
    return _INDEX.fullmatch(name) is not None


def is_long(value: object) -> bool:
    """Return whether a JSON value is an integer in the form `{low, high}` or `{low, high, unsigned}`."""
    return (
        isinstance(value, dict)
        and {"low", "high"} <= value.keys() <= {"low", "high", "unsigned"}
        and type(value["low"]) is int
        and type(value["high"]) is int
    )


def _number(value: object) -> int | None:
    if type(value) is int:
        return value
    if isinstance(value, dict) and is_long(value):
        return int(value["high"]) * 2**32 + (int(value["low"]) & 0xFFFFFFFF)
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        return int(value)
    if isinstance(value, float) and not value.is_integer():
        return None
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def epoch_ms(value: object) -> int | None:
    """Convert a timestamp to milliseconds since the epoch; None if `value` is not a timestamp.

    Args:
        value: seconds, ms, µs or ns since the epoch as a number, a decimal string or `{low, high}`, with or without a
            fraction; or an ISO 8601 time.
    """
    if isinstance(value, str) and not _DECIMAL.fullmatch(value):
        return iso_ms(value)
    number: float | None = int64(value)
    if number is None and isinstance(value, float | str):
        number = float(value)
    if number is None:
        return None
    if not 0 <= number < _MAX_SECONDS * 10**9:
        return None
    ms = number * 1000
    while ms >= _MAX_MS:
        ms /= 1000
    return int(ms)


def from_ms(ms: int) -> dt.datetime:
    """Convert milliseconds since the epoch to a datetime in UTC."""
    return EPOCH + dt.timedelta(milliseconds=ms)


def to_ms(time: dt.datetime) -> int:
    """Convert a datetime to milliseconds since the epoch."""
    return round(time.timestamp() * 1000)


def clock_text(ms: int) -> str:
    """Convert ms since the epoch to a clock: text that sorts by time; "" for 0."""
    return (_EPOCH + dt.timedelta(milliseconds=ms)).isoformat(timespec="milliseconds") if ms else ""


def clock_ms(clock: str) -> int:
    """Convert a result of `clock_text` to ms since the epoch."""
    return to_ms(dt.datetime.fromisoformat(f"{clock}+00:00")) if clock else 0


def iso_ms(value: object) -> int | None:
    """Convert an ISO 8601 time to milliseconds since the epoch; None if `value` is not an ISO 8601 time."""
    try:
        time = dt.datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    if time is None or not 1970 < time.year < 5138:  # noqa: PLR2004 - `epoch_ms` accepts times in the same years
        return None
    return to_ms(time if time.tzinfo else time.replace(tzinfo=dt.UTC))
