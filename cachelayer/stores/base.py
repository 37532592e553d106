"""What a store does. Tags and entries are named without the prefixes under which a server keeps them.

An entry's name ends in `@` and the fingerprint of what it holds: another shape of the same thing is another entry.
The state of a tag is None, a version (16 bytes), or an intent: `!` and the ids of the writes that hold it.
"""

import os
from binascii import b2a_hex
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from cachelayer.protocol.entries import VERSION

INTENT_S = 30.0  # a write that says nothing for that long is taken for dead
QUARANTINE_S = 2.0  # nothing is believed for that long after a store came back
QUARANTINE = b"quarantine------"  # who holds `*` then

States = list[bytes | None]
# Called with tags that someone has touched, here or in another process.
OnTouch = Callable[[Sequence[str]], None]
# Called with the name of what has happened.
CountEvent = Callable[[str], None]


class StoreDown(Exception):
    """The store does not answer, or not as one that can be written to: nothing in it may be believed."""


class StoreSlow(StoreDown):
    """The store did not answer in time; it may be there all the same."""


class StoreEmptied(StoreDown):
    """The store has been emptied since it was vouched for: nobody knows what of ours is gone."""


class StoreFull(Exception):
    """The store takes no more entries; what is in it is good."""


def token() -> bytes:
    """Return a new random version, or the id of a write."""
    return b2a_hex(os.urandom(VERSION // 2))


def strip_fingerprint(name: str) -> str:
    """Return an entry's name without the fingerprint at its end: what patterns are matched against."""
    return name.rpartition("@")[0]


class Subscription(Protocol):
    """A subscription to the invalidation channel. Every method may raise `OSError` or the client's errors."""

    def ping(self, text: str) -> None:
        """Send a ping; its answer comes after every message that was published before."""

    def receive(self, timeout: float) -> tuple[str, bytes]:
        """Return the next reply as kind (`subscribe`, `message`, `pong`) and text; kind "" after `timeout` seconds."""


class Store(Protocol):
    """The shared tier. Every method may raise `StoreDown`; each is one round trip."""

    is_shared: bool  # with other processes

    def read(self, entries: Sequence[str], tags: Sequence[str]) -> tuple[States, States]:
        """Return entries and states of tags, all of one moment.

        Raises:
            StoreEmptied: nobody has vouched for it since it was emptied.
        """

    def claim_versions(self, tags: Sequence[str], lease: str, lease_ms: int) -> tuple[States, bool]:
        """Give tags that have no version one; return the states of all, and whether the lease was free and is ours."""

    def fill(self, entries: Sequence[tuple[str, bytes, int]], lease: str) -> None:
        """Store entries, each with its milliseconds to live, and give back the lease.

        Raises:
            StoreFull: there is no room.
        """

    def begin(self, write: bytes, tags: Sequence[str]) -> None:
        """Make each tag an intent that the write holds, for 30 s at most, and announce it."""

    def end(self, write: bytes, tags: Sequence[str]) -> None:
        """Take the write out of the intents, and give tags that nobody holds a new version.

        Tags that the write no longer held, because the store had lost them, are announced again, with their number
        (`LOST`). It need not have happened when this returns.
        """

    def touch(self, tags: Sequence[str]) -> None:
        """Give tags that nobody holds a new version, and announce all of them."""

    def put(self, entry: str, head: bytes, payload: bytes, tags: Sequence[str], ttl_ms: int) -> None:
        """Touch the first tag and store an entry of the versions that all the tags have then, in one step."""

    def reinitialize(self, *, quarantine: bool) -> bool:
        """Vouch for the store, and make sure that it has a version for each namespace.

        If it was emptied, if this is not the server that was vouched for before, or if `quarantine` says so, nothing in
        it is believed by anybody for a moment: writes that begun without it may be about to commit.

        Returns:
            Whether that was so.
        """

    def check_writable(self) -> None:
        """Make sure that the store can be written to."""

    def remove(self, pattern: str) -> int:
        """Remove the entries and renew the tags whose name matches a glob; return how many entries that were."""

    def entry_names(self, pattern: str) -> Iterator[str]:
        """Yield the names of entries that match a glob, in no order."""

    def announce(self, *words: str) -> None:
        """Tell the other processes something that is no tag."""

    def subscribe(self) -> AbstractContextManager[Subscription]:
        """Return a subscription to the invalidation channel; only a shared store has one."""

    def verify_connection(self, connection: Any) -> bool:
        """Check the server behind a new connection; return whether it is not the one that was used before."""

    def release_idle(self) -> None:
        """Give back the connections that are not in use."""
