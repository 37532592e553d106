"""Values as bytes: msgpack, so that whoever can write to Redis cannot make us run anything.

Beside msgpack's own types there are those of Django's fields. A value of any other type is not cached.
"""

import datetime as dt
import uuid
from decimal import Decimal
from typing import Any

import msgpack


class NotCacheable(TypeError):
    """A value of a type that has no encoding here, or too large or too deep for one."""


class Garbage(ValueError):
    """Bytes that are no value of ours."""


_WRITE: dict[type, tuple[int, Any]] = {
    dt.datetime: (1, dt.datetime.isoformat),  # naive, or in a zone other than UTC; the usual ones are msgpack's own
    dt.date: (2, dt.date.isoformat),
    dt.time: (3, dt.time.isoformat),
    dt.timedelta: (4, lambda value: f"{value.days} {value.seconds} {value.microseconds}"),
    Decimal: (5, str),
    uuid.UUID: (6, str),
    tuple: (7, None),
    set: (8, None),
    frozenset: (9, None),
}
_READ: dict[int, Any] = {
    1: dt.datetime.fromisoformat,
    2: dt.date.fromisoformat,
    3: dt.time.fromisoformat,
    4: lambda text: dt.timedelta(*map(int, text.split())),
    5: Decimal,
    6: uuid.UUID,
    7: tuple,
    8: set,
    9: frozenset,
}
_CONTAINERS = (7, 8, 9)


def encode(value: object) -> bytes:
    """Return a value as bytes.

    Raises:
        NotCacheable: it cannot be said in them.
    """
    try:
        packed: bytes = msgpack.packb(value, default=_extension, datetime=True, strict_types=True)
    except (TypeError, ValueError, OverflowError, RecursionError, UnicodeError) as error:
        raise NotCacheable(f"{type(value).__name__}: {error}") from error
    return packed


def decode(data: bytes) -> Any:
    """Return the value that `encode` was given; always a new one.

    Raises:
        Garbage: `data` did not come from `encode`.
    """
    try:
        return msgpack.unpackb(data, ext_hook=_value, timestamp=3, strict_map_key=False)
    except Exception as error:
        raise Garbage(f"{len(data)} bytes: {error}") from error


def _extension(value: object) -> msgpack.ExtType:
    code, write = _WRITE.get(type(value), (0, None))
    if not code:
        raise TypeError(f"{type(value).__name__} has no encoding")
    return msgpack.ExtType(code, encode(list(value)) if code in _CONTAINERS else write(value).encode())  # type: ignore[call-overload]


def _value(code: int, data: bytes) -> Any:
    read = _READ[code]
    return read(decode(data)) if code in _CONTAINERS else read(data.decode())
