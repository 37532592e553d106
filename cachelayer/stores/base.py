"""The interface of a store. Its callers name tags and entries without the prefixes that a server's keys have.

The name of an entry ends in `@` and a fingerprint of its format, so that after a change of the model's columns old
entries are not found.

The state of a tag is None, a version (16 bytes), or an intent: `!` and the ids of the writes that hold the tag. To
touch a tag is to give it a new version, which invalidates the entries that depend on it.
"""

import os
from binascii import b2a_hex
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from cachelayer.protocol.entries import VERSION_SIZE

INTENT_S = 30.0  # seconds after which an intent expires unless it is renewed
QUARANTINE_S = 2.0  # seconds during which no entry is used after a store came back
QUARANTINE = b"quarantine------"  # the write id that holds `*` meanwhile

States = list[bytes | None]
# Called with the tags that were touched, by this process or by another one.
OnTouch = Callable[[Sequence[str]], None]
# Called with the name of an event to count.
CountEvent = Callable[[str], None]


class StoreDown(Exception):
    """The store does not answer, or does not accept writes. Its entries must not be used."""


class StoreSlow(StoreDown):
    """The store did not answer in time. It may still be running."""


class StoreEmptied(StoreDown):
    """The store was emptied since it was last initialized, so intents and versions may be missing."""


class StoreFull(Exception):
    """The store has no memory for more entries. Those that it has are valid."""


def token() -> bytes:
    """Return a new random version or write id."""
    return b2a_hex(os.urandom(VERSION_SIZE // 2))


def strip_fingerprint(name: str) -> str:
    """Return the name of an entry without its fingerprint. Patterns are matched against that."""
    return name.rpartition("@")[0]


class Subscription(Protocol):
    """A subscription to the invalidation channel. Every method may raise `OSError` or the client's errors."""

    def ping(self, text: str) -> None:
        """Send a ping. Its reply arrives after every message that was published before it."""

    def receive(self, timeout: float) -> tuple[str, bytes]:
        """Return the next reply as kind (`subscribe`, `message`, `pong`) and text; kind "" after `timeout` seconds."""


class Store(Protocol):
    """The shared store.

    Every method may raise `StoreDown`, and is one round trip unless it takes a pattern.

    Attributes:
        is_shared: whether other processes use the same store.
    """

    is_shared: bool

    def read(self, entries: Sequence[str], tags: Sequence[str]) -> tuple[States, States]:
        """Return entries and the states of tags, read atomically.

        Raises:
            StoreEmptied: the store was emptied and has not been initialized since.
        """

    def claim_versions(self, tags: Sequence[str], lease: str, lease_ms: int) -> tuple[States, bool]:
        """Give a new version to each tag that has no state, and try to acquire a lease.

        Args:
            tags: the tags.
            lease: the name of the lease, or "" to acquire no lease.
            lease_ms: milliseconds after which the lease expires.

        Returns:
            The states of all tags, and whether the lease was acquired.
        """

    def fill(self, entries: Sequence[tuple[str, bytes, int]], lease: str) -> None:
        """Store entries, and release the lease unless it is "".

        Args:
            entries: name, bytes, and time to live in milliseconds of each.
            lease: the name of the lease.

        Raises:
            StoreFull: the store has no memory for them.
        """

    def begin(self, write_id: bytes, tags: Sequence[str]) -> None:
        """Let a write hold an intent on each tag for up to 30 s, and announce the tags."""

    def end(self, write_id: bytes, tags: Sequence[str]) -> None:
        """Release the intents of a write, and give a new version to each tag that no other write holds.

        If the store has lost intents of the write, the tags are announced again together with the number of lost
        intents (`LOST`). The store may do all this after the method has returned.
        """

    def touch(self, tags: Sequence[str]) -> None:
        """Give a new version to each tag that no write holds, and announce all tags."""

    def put(self, entry: str, head: bytes, payload: bytes, tags: Sequence[str], ttl_ms: int) -> None:
        """Touch the first tag and store an entry, in one atomic step.

        While a write holds one of the tags, the entry is not stored.

        Args:
            entry: its name.
            head: its bytes before the versions of the tags.
            payload: its bytes after them.
            tags: all tags that it depends on.
            ttl_ms: time to live in milliseconds.
        """

    def reinitialize(self, *, quarantine: bool) -> bool:
        """Mark the store as initialized, and give a version to each namespace that has none.

        If the store was emptied, or is another server than before, writes that it does not know of may be about to
        commit. Then, or if `quarantine` is set, it puts all entries in quarantine: no process uses them for 2 s.

        Returns:
            Whether the quarantine began.
        """

    def check_writable(self) -> None:
        """Check that the store accepts writes."""

    def remove(self, pattern: str) -> int:
        """Remove the entries and touch the tags whose name matches a glob; return the number of removed entries."""

    def entry_names(self, pattern: str) -> Iterator[str]:
        """Yield the names of the entries that match a glob, in no particular order."""

    def announce(self, *words: str) -> None:
        """Publish words on the invalidation channel (`cachelayer.protocol.messages`)."""

    def subscribe(self) -> AbstractContextManager[Subscription]:
        """Return a subscription to the invalidation channel. Only a shared store has a channel."""

    def verify_connection(self, connection: Any) -> bool:
        """Check the server behind a new connection; return whether it was emptied or is another one than before."""

    def release_idle(self) -> None:
        """Return idle connections to their pool."""
