"""The format of a cache entry in the shared store, and the check whether a cache entry is still valid.

A cache entry is one byte string: its body, and the versions that its tags had before its value was loaded. The body
consists of the kind of the entry, the number of versions, the time at which the entry expires, and the encoded value
(the payload). The entry is valid while each of its tags still has the version that the entry contains.
"""

import enum
import struct
from collections.abc import Sequence
from typing import NamedTuple

from cachelayer.protocol.codec import DecodeError

FORMAT = 4  # part of the name of every entry; changes when the format of entries or of their seals changes
VERSION_SIZE = 16  # bytes in the version of a tag
INTENT_PREFIX = b"!"  # first byte of the state of a tag while a write holds an intent on the tag
_HEADER = struct.Struct(">cHI")
HEADER_SIZE = _HEADER.size


class Kind(enum.Enum):
    """Whether a cache entry holds a value, or records that a row does not exist."""

    PRESENT = b"+"
    NEGATIVE = b"-"  # records that a row does not exist; also depends on the insert tag of its namespace


_KINDS = {kind.value: kind for kind in Kind}


class LookupStatus(enum.Enum):
    """The result of looking up a cache entry in the shared store.

    HIT: the reader uses the entry. MISS: the reader loads the value from the database and stores it in the cache.
    BYPASS: the reader loads the value from the database and does not store it, because a write to the value has not
    ended or the store may hold stale entries.
    """

    HIT = "hit"
    MISS = "miss"
    BYPASS = "bypass"


class EntryKey(NamedTuple):
    """The cache key of an entry, and the tags that the entry depends on.

    Attributes:
        name: the cache key of the entry in the store, without prefix and fingerprint.
        tags: all tags that the value of the entry depends on, including the tags of the namespaces and `*`.
        insert_tag: a further tag that the entry depends on if it is negative; "" for lists and plain values, which have
            no negative entries.
    """

    name: str
    tags: tuple[str, ...]
    insert_tag: str = ""

    @property
    def all_tags(self) -> tuple[str, ...]:
        """All tags of the entry, with the insert tag at the end."""
        return (*self.tags, self.insert_tag) if self.insert_tag else self.tags


def validate(entry_key: EntryKey, entry: bytes | None, states: Sequence[bytes | None]) -> LookupStatus:
    """Compare the versions in an entry with the states of its tags, and return whether a reader may use the entry.

    Args:
        entry_key: the key and the tags of the entry.
        entry: the bytes of the entry; None if the store does not have the entry.
        states: the states of `entry_key.all_tags`, which the store must have read in the same step as the entry.
    """
    own = states[: len(entry_key.tags)]
    if entry is not None and None not in own:
        needed = states if entry[:1] == Kind.NEGATIVE.value else own
        # `needed` contains no None here, which mypy cannot see.
        if None not in needed and entry.endswith(b"".join(needed)) and (entry[1] << 8 | entry[2]) == len(needed):  # type: ignore[arg-type]
            return LookupStatus.HIT
    if any(state is not None and state.startswith(INTENT_PREFIX) for state in own):
        return LookupStatus.BYPASS
    return LookupStatus.MISS


def join_versions(entry_key: EntryKey, states: Sequence[bytes | None], kind: Kind) -> bytes | None:
    """Return the joined versions of the tags of an entry of this kind; None if one of these tags has no version."""
    count = len(entry_key.all_tags if kind is Kind.NEGATIVE else entry_key.tags)
    versions = [state for state in states[:count] if state is not None and is_version(state)]
    return b"".join(versions) if len(versions) == count else None


def is_version(state: bytes) -> bool:
    """Tell whether the state of a tag is a version, and not an intent."""
    return len(state) == VERSION_SIZE and not state.startswith(INTENT_PREFIX)


def pack(entry_key: EntryKey, kind: Kind, expires_at: int, payload: bytes) -> bytes:
    """Return the body of an entry, to which the versions of its tags (see `join_versions`) must be appended.

    Args:
        entry_key: the key and the tags of the entry.
        kind: whether the entry holds a value.
        expires_at: when the entry expires, in seconds since 1970.
        payload: the serialized value.
    """
    count = len(entry_key.all_tags if kind is Kind.NEGATIVE else entry_key.tags)
    return _HEADER.pack(kind.value, count, expires_at) + payload


def body_end(data: bytes, start: int = 0) -> int:
    """Return the index after the body of an entry that begins at `start`, and has `HEADER_SIZE` bytes or more.

    If the entry has no body, the index is less than `start + HEADER_SIZE`.
    """
    return len(data) - VERSION_SIZE * (data[start + 1] << 8 | data[start + 2])


def unpack(entry: bytes) -> tuple[Kind, int, bytes]:
    """Return the kind, the expiry time and the payload of an entry for which `validate` returned HIT.

    Raises:
        DecodeError: the entry has an unknown kind.
    """
    kind_byte, count, expires_at = _HEADER.unpack_from(entry)
    kind = _KINDS.get(kind_byte)
    if kind is None:
        raise DecodeError("unknown kind of entry")
    return kind, expires_at, entry[HEADER_SIZE : len(entry) - VERSION_SIZE * count]
