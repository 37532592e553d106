"""Encodes decoded values as JSON in UTF-8, and frees them meanwhile, so that a large body is not in memory twice."""

import json
from collections.abc import Iterator
from typing import Any

from conversations.evolution.large_json.values import LargeArray, LargeDict, LargeList

NUMBERS = 10_000  # that are encoded at once

_ENCODER = json.JSONEncoder(sort_keys=True, ensure_ascii=False)


def encode(value: Any) -> bytearray:
    """Return JSON in UTF-8 with sorted names. The large values in `value` are emptied.

    Raises:
        Exception: an error of a change of a `LargeList`.
    """
    encoded = bytearray()
    _encode(value, encoded)
    return encoded


def _encode(value: Any, encoded: bytearray) -> None:
    if isinstance(value, LargeDict):
        encoded += b"{"
        for number, name in enumerate(sorted(value)):
            encoded += (b", " if number else b"") + _dump(name) + b": "
            _encode(value.pop(name), encoded)
        encoded += b"}"
    elif isinstance(value, LargeArray | LargeList):
        encoded += b"["
        for number, items in enumerate(_batches(value.take())):
            encoded += b", " if number else b""
            if len(items) == 1:
                _encode(items.pop(), encoded)  # so that it is freed before the next one is decoded
            else:
                encoded += _dump(items)[1:-1]
        encoded += b"]"
    else:
        encoded += _dump(value)


def _batches(items: Iterator[Any]) -> Iterator[list[Any]]:
    """Yield numbers together, because they may be a file and each alone takes long, and every other item alone."""
    numbers: list[Any] = []
    for item in items:
        is_number = isinstance(item, int | float)
        if numbers and (not is_number or len(numbers) == NUMBERS):
            yield numbers
            numbers = []
        if is_number:
            numbers.append(item)
        else:
            yield [item]
        del item  # before the next one is decoded
    if numbers:
        yield numbers


def _dump(value: object) -> bytes:
    return _ENCODER.encode(value).encode()
