"""Large JSON values: an array whose items stay encoded, and arrays and objects that free their items step by step."""

import json
from collections.abc import Callable, Iterator
from typing import Any


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

    def containing(self, name: str) -> Iterator[Any]:
        """Yield the items as they were received, but None instead of those whose JSON does not contain `name`."""
        marks = name.encode(), rb"\u"  # an escape could hide the name
        return (
            None if isinstance(item, bytes) and not any(mark in item for mark in marks) else self._decode(item)
            for item in self._items
        )

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
