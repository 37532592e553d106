"""Values as bytes: msgpack, so that whoever can write to Redis cannot make us run anything.

Beside msgpack's own types there are those of Django's fields. A value of any other type is not cached.
"""

import datetime as dt
import uuid
from decimal import Decimal
from functools import partial
from typing import Any

import msgpack


class NotCacheable(TypeError):
    """A value of a type that has no encoding here, or too large or too deep for one."""


class DecodeError(ValueError):
    """Bytes that are no value of ours."""


# Tuples and sets inside one another: each is a message in a message, and takes 40 kB of the C stack to read.
MAX_DEPTH = 8

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
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
    int: (10, str),  # beyond 64 bits
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
    10: int,
}
_CONTAINERS = (7, 8, 9)


def encode(value: object) -> bytes:
    """Return a value as bytes.

    Raises:
        NotCacheable: it cannot be said in them.
    """
    return _packed(value, 0)


def decode(data: bytes) -> Any:
    """Return the value that `encode` was given; always a new one.

    Raises:
        Garbage: `data` did not come from `encode`.
    """
    return _unpacked(data, _value)


def _packed(value: object, depth: int) -> bytes:
    try:
        packed: bytes = msgpack.packb(value, default=partial(_extension, depth=depth), strict_types=True)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise NotCacheable(f"{type(value).__name__}: {error}") from error
    return packed


def _extension(value: Any, depth: int) -> msgpack.ExtType | msgpack.Timestamp:
    if type(value) is dt.datetime and value.tzinfo is dt.UTC:
        since = value - _EPOCH
        return msgpack.Timestamp(since.days * 86_400 + since.seconds, since.microseconds * 1000)
    code, write = _WRITE.get(type(value), (0, None))
    if not code:
        raise TypeError(f"{type(value).__name__} has no encoding")
    if code not in _CONTAINERS:
        return msgpack.ExtType(code, write(value).encode())
    if depth == MAX_DEPTH:
        raise ValueError("too deep")
    return msgpack.ExtType(code, _packed(list(value), depth + 1))


def _unpacked(data: bytes, hook: Any) -> Any:
    try:
        return msgpack.unpackb(data, ext_hook=hook, timestamp=3, strict_map_key=False)
    except Exception as error:
        raise DecodeError(f"{len(data)} bytes: {error}") from error


def _value(code: int, data: bytes, depth: int = 0) -> Any:
    read = _READ[code]
    if code not in _CONTAINERS:
        return read(data.decode())
    if depth == MAX_DEPTH:
        raise ValueError("too deep")
    return read(_unpacked(data, partial(_value, depth=depth + 1)))
