"""Encodes values as msgpack. Unlike pickle, decoding msgpack cannot run code that an attacker has written to Redis.

The types of msgpack and the types of the values of Django's fields are supported. Values of other types are not
cached.
"""

import datetime as dt
import uuid
from decimal import Decimal
from functools import partial
from typing import Any

import msgpack


class NotCacheable(TypeError):
    """Raised for a value that cannot be encoded: its type is not supported, or it is too large or too deeply nested."""


class DecodeError(ValueError):
    """Raised for bytes that `encode` cannot have returned."""


# How many tuples and sets may be nested. Decoding takes 40 kB of the C stack for each level of nesting.
MAX_DEPTH = 8

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_ENCODERS: dict[type, tuple[int, Any]] = {
    dt.datetime: (1, dt.datetime.isoformat),  # datetimes without a zone, or not in UTC; msgpack itself encodes UTC
    dt.date: (2, dt.date.isoformat),
    dt.time: (3, dt.time.isoformat),
    dt.timedelta: (4, lambda value: f"{value.days} {value.seconds} {value.microseconds}"),
    Decimal: (5, str),
    uuid.UUID: (6, str),
    tuple: (7, None),
    set: (8, None),
    frozenset: (9, None),
    int: (10, str),  # only integers of more than 64 bits; msgpack itself encodes smaller integers
}
_DECODERS: dict[int, Any] = {
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
_CONTAINER_CODES = (7, 8, 9)


def encode(value: object) -> bytes:
    """Return a value encoded as bytes.

    Raises:
        NotCacheable: the type of the value is not supported, or the value is too large or too deeply nested.
    """
    return _pack(value, 0)


def decode(data: bytes) -> Any:
    """Return a new object that equals the value from which `encode` made these bytes.

    Raises:
        DecodeError: `encode` cannot have returned `data`.
    """
    return _unpack(data, _decode_extension)


def _pack(value: object, depth: int) -> bytes:
    try:
        packed: bytes = msgpack.packb(value, default=partial(_encode_extension, depth=depth), strict_types=True)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise NotCacheable(f"{type(value).__name__}: {error}") from error
    return packed


def _encode_extension(value: Any, depth: int) -> msgpack.ExtType | msgpack.Timestamp:
    if type(value) is dt.datetime and value.tzinfo is dt.UTC:
        age = value - _EPOCH
        return msgpack.Timestamp(age.days * 86_400 + age.seconds, age.microseconds * 1000)
    code, to_text = _ENCODERS.get(type(value), (0, None))
    if not code:
        raise TypeError(f"{type(value).__name__} has no encoding")
    if code not in _CONTAINER_CODES:
        return msgpack.ExtType(code, to_text(value).encode())
    if depth == MAX_DEPTH:
        raise ValueError("nested too deeply")
    return msgpack.ExtType(code, _pack(list(value), depth + 1))


def _unpack(data: bytes, decode_extension: Any) -> Any:
    try:
        return msgpack.unpackb(data, ext_hook=decode_extension, timestamp=3, strict_map_key=False)
    except Exception as error:
        raise DecodeError(f"{len(data)} bytes: {error}") from error


def _decode_extension(code: int, data: bytes, depth: int = 0) -> Any:
    make = _DECODERS[code]
    if code not in _CONTAINER_CODES:
        return make(data.decode())
    if depth == MAX_DEPTH:
        raise ValueError("nested too deeply")
    return make(_unpack(data, partial(_decode_extension, depth=depth + 1)))
