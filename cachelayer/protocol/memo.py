"""A memo keeps results that were computed from bytes of the store, until it has too many."""

from collections.abc import Hashable
from typing import TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class Memo(dict[K, T]):
    """Results by key, which are all removed when there are too many of them or they have too many bytes.

    Args:
        max_bytes: the number of bytes that all results together may have.
        max_items: the number of results.
    """

    def __init__(self, max_bytes: int, max_items: int) -> None:
        super().__init__()
        self._max_bytes = max_bytes
        self._max_items = max_items
        self._size = 0

    def keep(self, key: K, value: T, size: int) -> None:
        """Keep a result of `size` bytes. The one before it with the same key counts until all results are removed."""
        if len(self) >= self._max_items or self._size + size > self._max_bytes:
            self.clear()
            self._size = 0
        self[key] = value
        self._size += size
