"""The database writes of this process that have not ended yet, so that the heartbeat can renew their intents."""

import threading
import weakref
from collections.abc import Iterator
from typing import Protocol


class InFlightWrite(Protocol):
    """The attributes and methods of `cachelayer.write.intents.WriteIntent` that the `CacheRuntime` uses.

    Attributes:
        id: the id of the write in the store.
        tags: the tags that the write touches.
        announced: the tags that were sent to the store, even if the store did not answer.
    """

    id: bytes
    tags: dict[str, None]
    announced: dict[str, None]

    def renew(self, older_than: float = 0.0) -> None:
        """Send the intents of the write again, if they were last sent more than `older_than` seconds ago."""


class InFlightWrites:
    """A set of weak references to writes.

    A write whose thread has died leaves the set, so that its intents are not renewed and expire.
    """

    def __init__(self) -> None:
        self._writes: weakref.WeakSet[InFlightWrite] = weakref.WeakSet()
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[InFlightWrite]:
        """Return an iterator over the writes that have not ended."""
        with self._lock:
            return iter(list(self._writes))

    def __len__(self) -> int:
        """Return how many writes have not ended."""
        return len(self._writes)

    def add(self, write: InFlightWrite) -> None:
        """Add a write that begins."""
        with self._lock:
            self._writes.add(write)

    def discard(self, write: InFlightWrite) -> None:
        """Remove a write that has ended."""
        with self._lock:
            self._writes.discard(write)
