"""Estimates the memory of decoded values, and limits it: short values need many times the memory of their bytes."""

import sys
from collections.abc import Collection

from conversations.evolution.large_json.errors import TooMuchMemoryError

# The limit of the memory of a decoded body: FACTOR times the body's bytes, but at least FLOOR bytes.
MEMORY_FACTOR, MEMORY_FLOOR = 4.1, 24 * 1024 * 1024
BYTES_PER_VALUE = 80  # of memory for one name or value in an array or object, without the characters of texts
# Bytes of memory for an item of an array and for a member of an object, without the values; and for a number or a text
# beside `sys.getsizeof`, because the allocator rounds, and an array is copied as it grows.
BYTES_PER_ITEM, BYTES_PER_MEMBER, BYTES_PER_OBJECT = 9, 60, 16
SEPARATORS = (",", ":", "[", "{")  # each name and each value in JSON follows one of these


class Allowance:
    """The bytes of memory that the decoded values of one body may take."""

    def __init__(self, limit: float) -> None:
        self.free = limit
        self._limit = limit

    def charge(self, size: int) -> None:
        """Count the memory of decoded values.

        Raises:
            TooMuchMemoryError: all values together take more than the limit.
        """
        self.free -= size
        if self.free < 0:
            raise TooMuchMemoryError(self._limit)


def memory_limit(size: int) -> int:
    """Return how many bytes of memory a decoded body of `size` bytes may take."""
    return max(int(MEMORY_FACTOR * size), MEMORY_FLOOR)


def estimate(text: str) -> int:
    """Return about how many bytes of memory an array or object takes when it is decoded, from its JSON."""
    values = 1 + sum(map(text.count, SEPARATORS))
    width = 1 if text.isascii() and r"\u" not in text else 4
    return BYTES_PER_VALUE * values + width * len(text)


def size_of(values: Collection[object]) -> int:
    """Return how many bytes of memory the items of an array take, which are no arrays or objects."""
    size = BYTES_PER_ITEM * len(values)
    try:
        bytes(values)  # type: ignore[arg-type]  # Python has one object for all equal numbers of a byte
    except (TypeError, ValueError):
        size += sum(map(sys.getsizeof, values)) + BYTES_PER_OBJECT * len(values)
    return size


def size_of_members(members: dict[str, object]) -> int:
    """Return how many bytes of memory the members of an object take, which are no arrays or objects."""
    return BYTES_PER_MEMBER * len(members) + size_of(members) + size_of(members.values())
