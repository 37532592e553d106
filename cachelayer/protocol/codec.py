"""Encodes values as msgpack. Unlike pickle, decoding it cannot run code that somebody else has written to Redis.

msgpack's own types and the types of Django's fields are supported. A value of any other type is not cached.
"""

import datetime as dt
import uuid
from decimal import Decimal
from functools import partial
from typing import Any

import msgpack


class NotCacheable(TypeError):
    """A value whose type has no encoding, or that is too large or too deeply nested."""


class DecodeError(ValueError):
    """Bytes that `encode` did not write."""


# Limits nested tuples and sets: each is a message inside a message, and decoding one takes 40 kB of the C stack.
MAX_DEPTH = 8

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_ENCODERS: dict[type, tuple[int, Any]] = {
    dt.datetime: (1, dt.datetime.isoformat),  # naive, or in a zone other than UTC; UTC uses msgpack's timestamp
    dt.date: (2, dt.date.isoformat),
    dt.time: (3, dt.time.isoformat),
    dt.timedelta: (4, lambda value: f"{value.days} {value.seconds} {value.microseconds}"),
    Decimal: (5, str),
    uuid.UUID: (6, str),
    tuple: (7, None),
    set: (8, None),
    frozenset: (9, None),
    int: (10, str),  # outside of 64 bits
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
    """Return a value as bytes.

    Raises:
        NotCacheable: the value cannot be encoded.
    """
    return _pack(value, 0)


def decode(data: bytes) -> Any:
    """Return the value that `encode` was given, as a new object.

    Raises:
        DecodeError: `data` did not come from `encode`.
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
