"""Decodes JSON value by value from a window of text: values that fit into the window at once, larger ones in parts."""

import json
import math
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from conversations.evolution.large_json.errors import TooDeepError, TooManyItemsError
from conversations.evolution.large_json.memory import Allowance, estimate, memory_limit, size_of, size_of_members
from conversations.evolution.large_json.texts import LongText
from conversations.evolution.large_json.values import LargeArray, LargeDict, LargeList
from conversations.evolution.large_json.window import Window

WINDOW = 1024 * 1024  # characters of a value that is decoded at once
WINDOW_MEMORY = 8 * 1024 * 1024  # estimated bytes of memory of such a value; an item of `data` may need more
MAX_LEVELS = 16  # of values that do not fit into a window; WhatsApp's messages have about fifteen in all
MAX_ITEMS = 10_000  # of a value that does not fit into a window, without numbers and without the items of `data`
MAX_RECORDS = 250_000  # items of `data`; each is decoded by itself, three times until it is stored
RECORDS = "data"  # the member of a body whose items may be many

# Numbers or members that are numbers, each with the comma behind it: they may be a file, and each alone takes long.
_NUMBER = r"[ \t\n\r]*+[-+.0-9eE]++[ \t\n\r]*+,"
_NUMBERS = re.compile(f"(?:{_NUMBER})++")
_NUMBER_MEMBERS = re.compile(rf'(?:[ \t\n\r]*+"(?:[^"\\]++|\\.)*+"[ \t\n\r]*+:{_NUMBER})++')
_TEXT_PART = re.compile(r'(?:[^"\\]++|\\u[0-9a-fA-F]{4}|\\[^u])*+', re.DOTALL)
_ESCAPE_LENGTH = 6  # characters of the longest escape


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
        self._window = Window(raw)
        self._decoder = decoder
        self._is_limited = is_limited
        self._memory = Allowance(memory_limit(len(raw)) if is_limited else math.inf)

    def decode(self) -> Any:
        value = self._value(MAX_LEVELS)
        if self._window.peek():
            raise ValueError("data after the end of the JSON value")
        return value

    def _value(self, levels: int, *, keep_json: bool = False) -> Any:
        """Return the next value; if it fits into a window and `keep_json` is set, as bytes of JSON."""
        window = self._window
        while True:
            window.peek()
            try:
                value, end = self._decoder.scan_once(window.text, window.at)  # type: ignore[attr-defined]  # missing in typeshed
            except (StopIteration, ValueError) as error:  # which keeps the window in memory
                problem = "expected a value" if isinstance(error, StopIteration) else str(error)
            else:
                # A number may go on after the window: "1", "1." and "1e+" may become "1e+9".
                is_whole = window.text[end - 1] in '"]}' or len(window.text) - end >= len("e+9")
                if not is_whole and end - window.at >= WINDOW:
                    raise ValueError("a number has too many digits")
                if is_whole or not window.read():
                    return self._keep(value, end, keep_json=keep_json)
                continue
            if self._exceeds_window(is_record=keep_json):
                return self._large_value(levels)
            if not window.read():
                raise ValueError(problem)

    def _keep(self, value: Any, end: int, *, keep_json: bool) -> Any:
        """Skip a decoded value; return it or its JSON."""
        start, self._window.at = self._window.at, end
        kept = self._window.text[start:end].encode() if keep_json else value
        is_container = isinstance(kept, list | dict)
        self._memory.charge(estimate(self._window.text[start:end]) if is_container else size_of((kept,)))
        return kept

    def _exceeds_window(self, *, is_record: bool) -> bool:
        """Return whether the next value, whose end is not in the window, is too large to be decoded at once."""
        text, start = self._window.text, self._window.at
        if len(text) - start >= WINDOW:
            return True
        memory = self._memory.free if is_record else WINDOW_MEMORY
        return text[start : start + 1] in ("[", "{") and estimate(text[start:]) > memory

    def _large_value(self, levels: int) -> Any:
        if not levels:
            raise TooDeepError
        match self._window.take('[{"'):
            case "[":
                return LargeArray(self._limited(self._items(levels - 1)))
            case "{":
                return LargeDict(self._limited(self._members(levels - 1)))
        return self._long_text()

    def _items(self, levels: int, *, keep_json: bool = False) -> Iterator[Any]:
        if self._window.skip("]"):
            return
        while True:
            if not keep_json and (text := self._window.match(_NUMBERS)):
                numbers = self._decoder.decode(f"[{text[:-1]}]")
                self._memory.charge(size_of(numbers))
                yield from numbers
            yield self._value(levels, keep_json=keep_json)
            if self._window.take(",]") == "]":
                return

    def _members(self, levels: int) -> Iterator[tuple[str, Any]]:
        if self._window.skip("}"):
            return
        while True:
            if text := self._window.match(_NUMBER_MEMBERS):
                members = self._decoder.decode(f"{{{text[:-1]}}}")
                self._memory.charge(size_of_members(members))
                yield from members.items()
            if self._window.peek() != '"':
                raise ValueError("expected the name of a member")
            name = self._value(levels)
            self._window.take(":")
            is_records = name == RECORDS and levels == MAX_LEVELS - 1 and self._window.peek() == "["
            yield name, self._records(levels) if is_records else self._value(levels)
            if self._window.take(",}") == "}":
                return

    def _records(self, levels: int) -> LargeList:
        self._window.take("[")
        limit = MAX_RECORDS + 1 if self._is_limited else None
        records = list(islice(self._items(levels - 1, keep_json=True), limit))
        if limit and len(records) == limit:
            raise TooManyItemsError(MAX_RECORDS)
        return LargeList(self._decoder, records)

    def _long_text(self) -> str:
        """Return the text whose opening quote was read."""
        window, long_text = self._window, LongText()
        while True:
            end = _TEXT_PART.match(window.text, window.at).end()  # type: ignore[union-attr]  # it matches ""
            long_text.add(json.loads(f'"{window.text[window.at : end]}"'))
            window.at = end
            if window.text[end : end + 1] == '"':
                window.at += 1
                text = long_text.join()
                self._memory.charge(size_of((text,)))
                return text
            if len(window.text) - end >= _ESCAPE_LENGTH or not window.read():
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
