"""The interface of a store. Callers name tags and entries without the prefixes that the keys on a server have.

The name of an entry ends in `@` and a fingerprint of the entry's format, so that entries written before a change of the
model's columns are not found.

The state of a tag is None, a version (16 bytes), or an intent: `!` and the ids of the writes that hold the tag.
Touching a tag gives the tag a new version, which invalidates all entries that depend on the tag.
"""

import os
from binascii import b2a_hex
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from cachelayer.protocol.entries import VERSION_SIZE

INTENT_S = 30.0  # seconds after which a write's intent expires unless the write renews it
QUARANTINE_S = 2.0  # seconds after a store came back during which no process uses a cached entry
QUARANTINE = b"quarantine------"  # the write id that holds the tag `*` during a quarantine

States = list[bytes | None]
# A callback that receives the touched tags, whether this process or another one touched them.
OnTouch = Callable[[Sequence[str]], None]
# A callback that counts an event of the given name.
CountEvent = Callable[[str], None]
# A callback that receives the seconds that a round trip took.
Observe = Callable[[float], None]


class StoreDown(Exception):
    """The store does not answer, or rejects writes, so its entries must not be used."""


class StoreSlow(StoreDown):
    """The store did not answer in time, but may still be running."""


class StoreRefuses(StoreDown):
    """The store answers with an error, so other processes may still read entries from it."""


class StoreTampered(StoreDown):
    """The store holds a value that no process can have stored, so every read may cost as much as somebody wants."""


class StoreEmptied(StoreDown):
    """The store was emptied after its last initialization, so intents and versions may be missing."""


class StoreFull(Exception):
    """The store has no memory for more entries; the entries already stored are valid."""


def token() -> bytes:
    """Return a random string, used as a new version of a tag or as the id of a write."""
    return b2a_hex(os.urandom(VERSION_SIZE // 2))


def strip_fingerprint(name: str) -> str:
    """Return the name of an entry without the fingerprint; patterns are matched against this shorter name."""
    return name.rpartition("@")[0]


class Subscription(Protocol):
    """A subscription to the invalidation channel. Every method may raise `OSError` or an error of redis-py."""

    def ping(self, text: str) -> None:
        """Send a ping; the pong arrives after every invalidation message that was published before the ping."""

    def receive(self, timeout: float) -> tuple[str, bytes]:
        """Return the kind (`subscribe`, `message` or `pong`) and text of the next reply; the kind "" is a timeout."""


Subscribe = Callable[[], AbstractContextManager[Subscription]]


class Store(Protocol):
    """The shared store of cached entries and of the states of tags.

    Every method may raise `StoreDown`. A method makes one round trip to the server, or several if it takes a pattern.
    """

    @property
    def subscribe(self) -> Subscribe | None:
        """A function that subscribes to the invalidation channel; None if no other process shares the store."""

    def read(self, entries: Sequence[str], tags: Sequence[str]) -> tuple[States, States]:
        """Return entries and the states of tags, all read in one atomic step.

        Raises:
            StoreEmptied: the store was emptied and has not been initialized since.
        """

    def claim_versions(self, tags: Sequence[str], lease: str, lease_ms: int) -> tuple[States, bool]:
        """Give a new version to each tag that has no state, and try to acquire a lease.

        Args:
            tags: the tags to look up.
            lease: the name of the lease, or "" to acquire no lease.
            lease_ms: milliseconds after which the lease expires.

        Returns:
            The states of all tags, and whether the lease was acquired.
        """

    def fill(self, entries: Sequence[tuple[str, bytes, int]], lease: str) -> None:
        """Store entries, and release the lease unless `lease` is "".

        Args:
            entries: the name, bytes, and time to live (in milliseconds) of each entry.
            lease: the name of the lease that the caller holds, or "".

        Raises:
            StoreFull: the store has no memory for the entries.
        """

    def read_answer(self, name: str, etags: str, tags: Sequence[str]) -> tuple[bytes | None, bytes | None, States]:
        """Return a valid answer (see `protocol.answers`) and the states of further tags, all read in one atomic step.

        Args:
            name: the name of the answer.
            etags: ETags of contents that the caller has already, in one string.
            tags: tags whose states the caller needs besides.

        Returns:
            The head of the answer, its content, and the states of `tags`. The head and the content are None if there is
            no valid answer. The content is also None if `etags` contains its ETag.

        Raises:
            StoreEmptied: the store was emptied and has not been initialized since.
        """

    def fill_answer(self, name: str, head: bytes, content: bytes, ttl_ms: int) -> None:
        """Store an answer for `ttl_ms` milliseconds.

        Raises:
            StoreFull: the store has no memory for the answer.
        """

    def begin(self, write_id: bytes, tags: Sequence[str]) -> None:
        """Store an intent of a write on each tag for up to 30 s, and announce the tags to all processes."""

    def end(self, write_id: bytes, tags: Sequence[str], *, may_have_expired: bool = False, again: bool = False) -> None:
        """Release the intents of a write, and give a new version to each tag that no other write holds.

        If the store has lost intents of the write, the store announces the tags again, with the number of lost intents
        (`LOST`). The intents may be released only after this method has returned: intents that are never released
        expire, and then no entry of before the write is valid.

        Args:
            write_id: the id of the write.
            tags: the tags that the write holds.
            may_have_expired: whether the intents may have expired before the write committed, so that entries of before
                the write may be valid. Then this method waits until the store has answered.
            again: whether an earlier call for the same write may have succeeded, so that missing intents are not lost.
        """

    def touch(self, tags: Sequence[str]) -> None:
        """Give a new version to each tag that no write holds, and announce all given tags to all processes."""

    def put(self, entry: str, body: bytes, tags: Sequence[str], ttl_ms: int) -> None:
        """Touch the first tag and store an entry, in one atomic step.

        While a write holds one of the tags, the entry is not stored.

        Args:
            entry: the entry's name.
            body: the bytes of the entry before the versions of the tags.
            tags: all tags that the entry depends on.
            ttl_ms: the entry's time to live in milliseconds.
        """

    def reinitialize(self, *, quarantine: bool) -> bool:
        """Check that the store accepts writes, mark it as initialized, and give versions to namespaces without one.

        If the store was emptied, promoted or replaced by another server, writes that have no intent in the store may
        be about to commit. In this case, or if `quarantine` is set, a quarantine begins: no process uses a cached
        entry for 2 s.

        Returns:
            Whether a quarantine began.
        """

    def note_database(self, identity: str, previous: str) -> bool:
        """Save the identity of the database. If it has changed, touch all entries first.

        Args:
            identity: names the database server and its last start.
            previous: the identity that this process knows; "" if this process knows none.

        Returns:
            Whether the identity has changed.
        """

    def remove(self, pattern: str) -> int:
        """Remove the entries and touch the tags whose names match a glob; return the number of removed entries."""

    def entry_names(self, pattern: str) -> Iterator[str]:
        """Yield the names of the entries that match a glob, in no particular order."""

    def announce(self, *words: str) -> None:
        """Publish tags or special words on the invalidation channel (see `cachelayer.protocol.messages`)."""

    def verify_connection(self, connection: Any) -> bool:
        """Check the server behind a new connection; return whether the server was emptied or replaced."""

    def release_idle(self) -> None:
        """Return idle connections to the connection pool."""
