"""Reads the header `Range` (RFC 9110, section 14) with one range of bytes."""

import re
from typing import NamedTuple

_ONE_RANGE = re.compile(r"bytes=[ \t]*([0-9]{0,19})-([0-9]{0,19})[ \t]*", re.ASCII | re.IGNORECASE)


class UnsatisfiableRange(ValueError):
    """Raised for a range that begins behind the end of the content."""


class ByteRange(NamedTuple):
    """A part of some content: from the byte `first` to the byte `last`, both included; `last` is -1 for no content."""

    first: int
    last: int

    @property
    def length(self) -> int:
        """The number of bytes."""
        return self.last - self.first + 1


def parse_range(header: str, size: int) -> ByteRange | None:
    """Return the part of the content that a request asks for; None for the whole content.

    A header of another form, or with several ranges, is ignored, as the standard permits.

    Args:
        header: the value of `Range`, or "".
        size: the length of the content in bytes.

    Raises:
        UnsatisfiableRange: the content has no such part.
    """
    match = _ONE_RANGE.fullmatch(header)
    if match is None or not any(match.groups()):
        return None
    first, last = match.groups()
    if first and last and int(first) > int(last):
        return None
    start = int(first) if first else max(0, size - int(last))
    if start >= size:
        raise UnsatisfiableRange
    return ByteRange(start, min(int(last), size - 1) if first and last else size - 1)
