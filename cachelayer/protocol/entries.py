"""What an entry is in the shared tier, and what a reader makes of one. Pure: no I/O, no clock.

An entry is one string of bytes: its kind, the moment it ends, the versions its tags had before its value was read, and
the value. It is valid while every one of those tags still has that version (DESIGN: versioned tags with intents).
"""

import enum
import struct
from collections.abc import Sequence
from typing import NamedTuple

from cachelayer.protocol.codec import DecodeError

VERSION = 16  # bytes
INTENT = b"!"  # what the state of a tag begins with while a write to what it names is in flight
_HEAD = struct.Struct(">cI")
HEAD = _HEAD.size


class Kind(enum.Enum):
    """What an entry says."""

    PRESENT = b"+"
    NEGATIVE = b"-"  # the row does not exist; such an entry depends on the births of its namespace as well


_KINDS = {kind.value: kind for kind in Kind}


class LookupStatus(enum.Enum):
    """What a reader does."""

    HIT = "hit"
    MISS = "miss"
    BYPASS = "bypass"


class EntryKey(NamedTuple):
    """One entry that is asked for.

    Attributes:
        name: its name, which patterns are matched against.
        tags: all that its value depends on: its own, their namespaces', `*`.
        births: the tag that its absence depends on besides, or "" for what is never absent.
    """

    name: str
    tags: tuple[str, ...]
    insert_tag: str = ""

    @property
    def all_tags(self) -> tuple[str, ...]:
        """The tags whose state is needed, the births last."""
        return (*self.tags, self.insert_tag) if self.insert_tag else self.tags


def validate(wanted: EntryKey, entry: bytes | None, states: Sequence[bytes | None]) -> LookupStatus:
    """Decide what to do, from an entry and the states of `wanted.all_tags`, all read at one moment."""
    own = states[: len(wanted.tags)]
    if entry is not None and None not in own:
        needed = states if entry[:1] == Kind.NEGATIVE.value else own
        if None not in needed and entry.startswith(b"".join(needed), HEAD):  # type: ignore[arg-type]  # none is None
            return LookupStatus.HIT
    if any(state is not None and state.startswith(INTENT) for state in own):
        return LookupStatus.BYPASS
    return LookupStatus.MISS


def version_prefix(wanted: EntryKey, states: Sequence[bytes | None], kind: Kind) -> bytes | None:
    """Return the versions that an entry of that kind would depend on; None while one of its tags has none."""
    number = len(wanted.all_tags if kind is Kind.NEGATIVE else wanted.tags)
    seen = [state for state in states[:number] if state is not None and _is_version(state)]
    return b"".join(seen) if len(seen) == number else None


def _is_version(state: bytes) -> bool:
    return len(state) == VERSION and not state.startswith(INTENT)


def pack(kind: Kind, ends: int, seen: bytes, payload: bytes) -> bytes:
    """Return an entry's bytes; `ends` is in seconds since the epoch."""
    return _HEAD.pack(kind.value, ends) + seen + payload


def unpack(wanted: EntryKey, entry: bytes) -> tuple[Kind, int, bytes]:
    """Return the kind, the end and the payload of an entry that `judge` called a hit.

    Raises:
        Garbage: there is no such kind.
    """
    word, ends = _HEAD.unpack_from(entry)
    kind = _KINDS.get(word)
    if kind is None:
        raise DecodeError("an entry of no kind")
    needed = wanted.all_tags if kind is Kind.NEGATIVE else wanted.tags
    return kind, ends, entry[HEAD + VERSION * len(needed) :]
