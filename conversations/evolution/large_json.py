"""Decodes and encodes large JSON in steps, so that a body needs little memory, and no step keeps other threads waiting.

Decoded JSON needs many times the memory of its bytes: one emoji makes Python store a text with four bytes for each
character. So a body is decoded value by value from a window of text, and the bytes before the window are freed. The
items of the large array `data` are checked, but stay JSON in UTF-8 until each of them is changed and encoded. All other
values are decoded, so their memory is estimated and limited: short ones need many times the memory of their bytes.
"""

import codecs
import json
import math
import re
import sys
from collections.abc import Callable, Collection, Iterator
from itertools import islice
from typing import Any

STEP = 256 * 1024  # bytes that are converted to text at once
WINDOW = 1024 * 1024  # characters of a value that is decoded at once
WINDOW_MEMORY = 8 * 1024 * 1024  # estimated bytes of memory of such a value; an item of `data` may need more
MAX_LEVELS = 16  # of values that do not fit into a window; WhatsApp's messages have about fifteen in all
MAX_ITEMS = 10_000  # of a value that does not fit into a window, without numbers and without the items of `data`
MAX_RECORDS = 250_000  # items of `data`; each is decoded by itself, three times until it is stored
MAX_TEXT_LENGTH = 1_000_000  # characters; WhatsApp's texts have 65,536 at most, only encoded files are longer
RECORDS = "data"  # the member of a body whose items may be many
# Memory that a decoded body may take: so many times its bytes, and so many bytes if that is more.
MEMORY_FACTOR, MEMORY_FLOOR = 4.1, 24 * 1024 * 1024
BYTES_PER_VALUE = 80  # of memory for one name or value in an array or object, without the characters of texts
# Bytes of memory for an item of an array and for a member of an object, without the values; and for a number or a text
# beside `sys.getsizeof`, because the allocator rounds, and an array is copied as it grows.
BYTES_PER_ITEM, BYTES_PER_MEMBER, BYTES_PER_OBJECT = 9, 60, 16
SEPARATORS = (",", ":", "[", "{")  # each name and each value in JSON follows one of these
NUMBERS = 10_000  # that are encoded at once

_SPACE = re.compile(r"[ \t\n\r]*")
# Numbers or members that are numbers, each with the comma behind it: they may be a file, and each alone takes long.
_NUMBER = r"[ \t\n\r]*+[-+.0-9eE]++[ \t\n\r]*+,"
_NUMBERS = re.compile(f"(?:{_NUMBER})++")
_NUMBER_MEMBERS = re.compile(rf'(?:[ \t\n\r]*+"(?:[^"\\]++|\\.)*+"[ \t\n\r]*+:{_NUMBER})++')
_TEXT_PART = re.compile(r'(?:[^"\\]++|\\u[0-9a-fA-F]{4}|\\[^u])*+', re.DOTALL)
_ESCAPE_LENGTH = 6  # characters of the longest escape
_ENCODED = re.compile(r"[\w+/=:;,. \r\n-]*", re.ASCII)  # base64, or a data URL of base64
_ENCODER = json.JSONEncoder(sort_keys=True, ensure_ascii=False)


class LargeList:
    """A large JSON array whose items stay encoded until they are needed.

    Args:
        decoder: decodes the items.
        items: the items: JSON in UTF-8, or a decoded value that is large itself.
        changes: functions that change a decoded item and return it.
    """

    def __init__(
        self, decoder: json.JSONDecoder, items: list[Any], changes: tuple[Callable[[Any], Any], ...] = ()
    ) -> None:
        self._decoder = decoder
        self._items = items
        self._changes = changes

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, part: slice) -> "LargeList":
        return LargeList(self._decoder, self._items[part], self._changes)

    def __iter__(self) -> Iterator[Any]:
        """Yield the items as they were received."""
        return map(self._decode, self._items)

    def change(self, function: Callable[[Any], Any]) -> None:
        """Change each item by a function when the item is taken."""
        self._changes = (*self._changes, function)

    def take(self) -> Iterator[Any]:
        """Yield the changed items, and remove them. Only the caller refers to an item that was yielded."""
        return map(self._changed, _take(self._items))

    def clear(self) -> None:
        """Remove all items."""
        self._items.clear()

    def _changed(self, encoded: Any) -> Any:
        item = self._decode(encoded)
        for function in self._changes:
            item = function(item)
        return item

    def _decode(self, item: Any) -> Any:
        return self._decoder.decode(item.decode()) if isinstance(item, bytes) else item


class LargeDict(dict[str, Any]):
    """A JSON object that was too long to be decoded at once."""


class LargeArray(list[Any]):
    """A JSON array that was too long to be decoded at once, other than `data`."""

    def take(self) -> Iterator[Any]:
        """Yield the items, and remove them."""
        return _take(self)


def _take(items: list[Any]) -> Iterator[Any]:
    items.reverse()
    while items:
        yield items.pop()


class TooDeepError(ValueError):
    """Raised for JSON with too many levels."""


class LimitExceededError(ValueError):
    """Raised for values beyond a limit.

    Attributes:
        limit: the largest permitted number.
    """

    def __init__(self, limit: float) -> None:
        super().__init__(f"more than {limit}")
        self.limit = limit


class TooManyItemsError(LimitExceededError):
    """Raised for a large array or object with more items than any in WhatsApp's messages."""


class TooMuchMemoryError(LimitExceededError):
    """Raised for values that need more bytes of memory than a body of their size may take."""


def memory_limit(size: int) -> int:
    """Return how many bytes of memory a decoded body of `size` bytes may take."""
    return max(int(MEMORY_FACTOR * size), MEMORY_FLOOR)


def is_encoded(text: str) -> bool:
    """Return whether a text is base64.

    The text is searched in steps, because other threads wait while a regular expression runs.
    """
    return all(_ENCODED.fullmatch(text, start, start + WINDOW) for start in range(0, len(text), WINDOW))


def decode(raw: bytearray, decoder: json.JSONDecoder, *, is_limited: bool = True) -> Any:
    """Decode a body in UTF-8, and empty it.

    A large array in the body's member `data` becomes a `LargeList`. Long texts that are not base64 are cut to
    `MAX_TEXT_LENGTH` characters.

    Args:
        raw: the body.
        decoder: decodes values that fit into a window.
        is_limited: whether the number of items of a large value is limited, and the memory of all values.

    Raises:
        TooDeepError: large values are nested too deeply.
        TooManyItemsError: `data` has more than `MAX_RECORDS` items, or another large value more than `MAX_ITEMS`.
        TooMuchMemoryError: the values need more than `memory_limit` of the body.
        RecursionError: other values are nested too deeply.
        ValueError: the body is not JSON in UTF-8.
    """
    return _Decoder(raw, decoder, is_limited=is_limited).decode()


class _Decoder:
    def __init__(self, raw: bytearray, decoder: json.JSONDecoder, *, is_limited: bool) -> None:
        self._raw = raw
        self._decoder = decoder
        self._is_limited = is_limited
        self._limit = self._free = memory_limit(len(raw)) if is_limited else math.inf
        self._utf8 = codecs.getincrementaldecoder("utf-8-sig")()
        self._text, self._at = "", 0  # the window, and the position of the next character in it

    def decode(self) -> Any:
        value = self._value(MAX_LEVELS)
        if self._next():
            raise ValueError("data after the end of the JSON value")
        return value

    def _read(self) -> bool:
        """Add a step to the window; return False at the end of the body."""
        if not self._raw:
            return False
        step = self._utf8.decode(self._raw[:STEP], final=len(self._raw) <= STEP)
        del self._raw[:STEP]
        self._text, self._at = self._text[self._at :] + step, 0
        return True

    def _next(self) -> str:
        """Skip white space, and return the next character; "" at the end of the body."""
        while True:
            self._at = _SPACE.match(self._text, self._at).end()  # type: ignore[union-attr]  # it matches ""
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._read():
                return ""

    def _take(self, allowed: str) -> str:
        char = self._next()
        if not char or char not in allowed:
            raise ValueError(f"expected one of {allowed}")
        self._at += 1
        return char

    def _ends(self, bracket: str) -> bool:
        """Skip the bracket that ends an array or object, if it is next; return whether it was."""
        is_end = self._next() == bracket
        self._at += is_end
        return is_end

    def _value(self, levels: int, *, keep_json: bool = False) -> Any:
        """Return the next value; if it fits into a window and `keep_json` is set, as bytes of JSON."""
        while True:
            self._next()
            try:
                value, end = self._decoder.scan_once(self._text, self._at)  # type: ignore[attr-defined]  # missing in typeshed
            except (StopIteration, ValueError) as error:  # which keeps the window in memory
                problem = "expected a value" if isinstance(error, StopIteration) else str(error)
            else:
                # A number may go on after the window: "1", "1." and "1e+" may become "1e+9".
                is_whole = self._text[end - 1] in '"]}' or len(self._text) - end >= len("e+9")
                if not is_whole and end - self._at >= WINDOW:
                    raise ValueError("a number has too many digits")
                if is_whole or not self._read():
                    return self._keep(value, end, keep_json=keep_json)
                continue
            if self._exceeds_window(is_record=keep_json):
                return self._large_value(levels)
            if not self._read():
                raise ValueError(problem)

    def _keep(self, value: Any, end: int, *, keep_json: bool) -> Any:
        """Skip a decoded value; return it or its JSON."""
        text, self._at = self._text[self._at : end], end
        kept = text.encode() if keep_json else value
        self._charge(_estimate(text) if isinstance(kept, list | dict) else _size_of((kept,)))
        return kept

    def _exceeds_window(self, *, is_record: bool) -> bool:
        """Return whether the next value, whose end is not in the window, is too large to be decoded at once."""
        text = self._text[self._at :]
        memory = self._free if is_record else WINDOW_MEMORY
        return len(text) >= WINDOW or (text[:1] in ("[", "{") and _estimate(text) > memory)

    def _large_value(self, levels: int) -> Any:
        if not levels:
            raise TooDeepError
        match self._take('[{"'):
            case "[":
                return LargeArray(self._limited(self._items(levels - 1)))
            case "{":
                return LargeDict(self._limited(self._members(levels - 1)))
        return self._long_text()

    def _items(self, levels: int, *, keep_json: bool = False) -> Iterator[Any]:
        if self._ends("]"):
            return
        while True:
            if not keep_json and (text := self._skip(_NUMBERS)):
                numbers = self._decoder.decode(f"[{text}]")
                self._charge(_size_of(numbers))
                yield from numbers
            yield self._value(levels, keep_json=keep_json)
            if self._take(",]") == "]":
                return

    def _members(self, levels: int) -> Iterator[tuple[str, Any]]:
        if self._ends("}"):
            return
        while True:
            if text := self._skip(_NUMBER_MEMBERS):
                members = self._decoder.decode(f"{{{text}}}")
                self._charge(BYTES_PER_MEMBER * len(members) + _size_of(members) + _size_of(members.values()))
                yield from members.items()
            if self._next() != '"':
                raise ValueError("expected the name of a member")
            name = self._value(levels)
            self._take(":")
            is_records = name == RECORDS and levels == MAX_LEVELS - 1 and self._next() == "["
            yield name, self._records(levels) if is_records else self._value(levels)
            if self._take(",}") == "}":
                return

    def _skip(self, pattern: re.Pattern[str]) -> str:
        """Skip what matches a pattern in the next step of the window; return it without its last comma."""
        match = pattern.match(self._text, self._at, self._at + STEP)
        self._at = match.end() if match else self._at
        return match[0][:-1] if match else ""

    def _charge(self, size: int) -> None:
        """Count the memory of decoded values."""
        self._free -= size
        if self._free < 0:
            raise TooMuchMemoryError(self._limit)

    def _records(self, levels: int) -> Any:
        self._take("[")
        limit = MAX_RECORDS + 1 if self._is_limited else None
        records = list(islice(self._items(levels - 1, keep_json=True), limit))
        if limit and len(records) == limit:
            raise TooManyItemsError(MAX_RECORDS)
        return LargeList(self._decoder, records)

    def _long_text(self) -> str:
        """Return the text whose opening quote was read."""
        parts: list[str] = []
        length, is_plain = 0, False
        while True:
            end = _TEXT_PART.match(self._text, self._at).end()  # type: ignore[union-attr]  # it matches ""
            part = json.loads(f'"{self._text[self._at : end]}"')
            self._at = end
            if not is_plain and not is_encoded(part):
                is_plain = True
                parts = ["".join(parts)[:MAX_TEXT_LENGTH]]  # before a character that makes the whole text wide
                length = len(parts[0])
            if not is_plain or length < MAX_TEXT_LENGTH:
                parts.append(part)
                length += len(part)
            if self._text[end : end + 1] == '"':
                self._at += 1
                text = "".join(parts)
                text = _join_halves(text)[:MAX_TEXT_LENGTH] if is_plain else text
                self._charge(_size_of((text,)))
                return text
            if len(self._text) - end >= _ESCAPE_LENGTH or not self._read():
                raise ValueError("a text has a wrong escape or no end")

    def _limited(self, items: Iterator[Any]) -> Iterator[Any]:
        """Yield the items of a large value; numbers are not counted, because a list of them may be a file."""
        count = 0
        for item in items:
            value = item[1] if isinstance(item, tuple) else item
            count += isinstance(value, bool) or not isinstance(value, int | float)
            if self._is_limited and count > MAX_ITEMS:
                raise TooManyItemsError(MAX_ITEMS)
            yield item


def _size_of(values: Collection[Any]) -> int:
    """Return how many bytes of memory the items of an array take, which are no arrays or objects."""
    size = BYTES_PER_ITEM * len(values)
    try:
        bytes(values)  # Python has one object for all equal numbers of a byte
    except (TypeError, ValueError):
        size += sum(map(sys.getsizeof, values)) + BYTES_PER_OBJECT * len(values)
    return size


def _estimate(text: str) -> int:
    """Return how many bytes of memory a decoded array or object takes at most, from its JSON."""
    values = 1 + sum(map(text.count, SEPARATORS))
    width = 1 if text.isascii() and r"\u" not in text else 4
    return BYTES_PER_VALUE * values + width * len(text)


def _join_halves(text: str) -> str:
    """Make one character of two neighbouring surrogates: the escapes of both halves may have been decoded apart."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


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
