"""The wire format of an entry in the shared store, and the check whether it is still valid. No I/O, no clock.

An entry is one byte string: its kind, the time at which it expires, the versions that its tags had before its value was
loaded, and the payload. It is valid while each of those tags still has that version.
"""

import enum
import struct
from collections.abc import Sequence
from typing import NamedTuple

from cachelayer.protocol.codec import DecodeError

VERSION_SIZE = 16  # bytes
INTENT_PREFIX = b"!"  # the state of a tag begins with it while a write holds an intent on the tag
_HEADER = struct.Struct(">cI")
HEADER_SIZE = _HEADER.size


class Kind(enum.Enum):
    """The kind of an entry."""

    PRESENT = b"+"
    NEGATIVE = b"-"  # the row is known not to exist; the entry also depends on the insert tag


_KINDS = {kind.value: kind for kind in Kind}


class LookupStatus(enum.Enum):
    """The outcome of a lookup in the shared store.

    HIT: use the entry. MISS: load from the database and fill. BYPASS: load from the database and do not fill, because a
    write is in flight or the store cannot be trusted.
    """

    HIT = "hit"
    MISS = "miss"
    BYPASS = "bypass"


class EntryKey(NamedTuple):
    """The key of an entry and the tags that it depends on.

    Attributes:
        name: the key in the store; patterns are matched against it.
        tags: all tags that its value depends on, including the namespaces and `*`.
        insert_tag: the tag that a negative entry depends on as well; "" where there are no negative entries.
    """

    name: str
    tags: tuple[str, ...]
    insert_tag: str = ""

    @property
    def all_tags(self) -> tuple[str, ...]:
        """The tags whose state a reader needs, the insert tag last."""
        return (*self.tags, self.insert_tag) if self.insert_tag else self.tags


def validate(entry_key: EntryKey, entry: bytes | None, states: Sequence[bytes | None]) -> LookupStatus:
    """Return whether an entry may be used.

    Args:
        entry_key: its key and tags.
        entry: its bytes; None if the store does not have it.
        states: the states of `entry_key.all_tags`, read together with the entry.
    """
    own = states[: len(entry_key.tags)]
    if entry is not None and None not in own:
        needed = states if entry[:1] == Kind.NEGATIVE.value else own
        if None not in needed and entry.startswith(b"".join(needed), HEADER_SIZE):  # type: ignore[arg-type]  # no state is None
            return LookupStatus.HIT
    if any(state is not None and state.startswith(INTENT_PREFIX) for state in own):
        return LookupStatus.BYPASS
    return LookupStatus.MISS


def version_prefix(entry_key: EntryKey, states: Sequence[bytes | None], kind: Kind) -> bytes | None:
    """Return the versions that an entry of this kind depends on, joined; None if one of its tags has no version."""
    count = len(entry_key.all_tags if kind is Kind.NEGATIVE else entry_key.tags)
    versions = [state for state in states[:count] if state is not None and _is_version(state)]
    return b"".join(versions) if len(versions) == count else None


def _is_version(state: bytes) -> bool:
    return len(state) == VERSION_SIZE and not state.startswith(INTENT_PREFIX)


def pack(kind: Kind, expires_at: int, versions: bytes, payload: bytes) -> bytes:
    """Return the bytes of an entry.

    Args:
        kind: the kind of the entry.
        expires_at: seconds since the epoch.
        versions: see `version_prefix`.
        payload: the serialized value.
    """
    return _HEADER.pack(kind.value, expires_at) + versions + payload


def unpack(entry_key: EntryKey, entry: bytes) -> tuple[Kind, int, bytes]:
    """Return the kind, the expiry time and the payload of an entry for which `validate` returned HIT.

    Raises:
        DecodeError: the entry has an unknown kind.
    """
    kind_byte, expires_at = _HEADER.unpack_from(entry)
    kind = _KINDS.get(kind_byte)
    if kind is None:
        raise DecodeError("unknown kind of entry")
    tags = entry_key.all_tags if kind is Kind.NEGATIVE else entry_key.tags
    return kind, expires_at, entry[HEADER_SIZE + VERSION_SIZE * len(tags) :]
