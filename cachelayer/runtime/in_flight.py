"""Write intents that have not ended yet: the heartbeat renews them."""

import threading
import weakref
from collections.abc import Iterator
from typing import Protocol


class InFlightWrite(Protocol):
    """The part of a write intent that the runtime uses (`cachelayer.write.intents.WriteIntent`).

    Attributes:
        id: names the write in the store.
        tags: the tags that it touches.
        announced: those tags that were sent to the store, whether or not it answered.
    """

    id: bytes
    tags: dict[str, None]
    announced: dict[str, None]

    def renew(self, older_than: float = 0.0) -> None:
        """Send the intents again if they were last sent more than `older_than` seconds ago."""


class InFlightWrites:
    """A set of writes with weak references, so that a write whose thread died drops out and its intents expire."""

    def __init__(self) -> None:
        self._writes: weakref.WeakSet[InFlightWrite] = weakref.WeakSet()
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[InFlightWrite]:
        """Yield the writes that are in flight now."""
        with self._lock:
            return iter(list(self._writes))

    def __len__(self) -> int:
        """Return the number of writes."""
        return len(self._writes)

    def add(self, write: InFlightWrite) -> None:
        """Add a write."""
        with self._lock:
            self._writes.add(write)

    def discard(self, write: InFlightWrite) -> None:
        """Remove a write that has ended."""
        with self._lock:
            self._writes.discard(write)
