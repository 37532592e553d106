"""The format of an answer in the store: an entry that names its own tags, and a content that can be left out.

An answer consists of the size of its head (4 bytes), the head, and the content. The head is an entry as in `entries`;
the RedisStore seals it. Its payload consists of the size of the tags (4 bytes), the tags with a newline between them,
the ETag, and the notes of the caller. The ETag is a hash of the content, so that the seal of the head also covers the
content. The Lua script READ_ANSWER reads the same format.
"""

import struct
from collections.abc import Sequence
from hashlib import blake2b, sha256
from typing import NamedTuple

from cachelayer.protocol.codec import DecodeError
from cachelayer.protocol.entries import HEADER_SIZE, VERSION_SIZE, EntryKey, Kind, pack, unpack

ETAG_SIZE = 32  # characters
MAX_SHORT = 8192  # bytes; a longer content is hashed with SHA-256, which takes 5 µs to begin but less for each byte
MAX_TAGS = 1000  # Lua can pass some thousand tags to a command
_SIZE = struct.Struct(">I")


class Head(NamedTuple):
    """What the head of an answer contains.

    Attributes:
        tags: all tags that the answer depends on.
        etag: the hash of the content.
        notes: what the caller has added.
        versions: the versions of the tags, joined.
    """

    tags: list[str]
    etag: str
    notes: bytes
    versions: bytes


def etag_of(content: bytes) -> str:
    """Return the hash of a content."""
    if len(content) <= MAX_SHORT:
        return blake2b(content, digest_size=ETAG_SIZE // 2).hexdigest()
    return sha256(content).hexdigest()[:ETAG_SIZE]


def is_content_of(etag: str, content: bytes) -> bool:
    """Tell whether a content has this ETag."""
    return etag_of(content) == etag


def pack_head(name: str, versions: dict[str, bytes], etag: str, notes: bytes, expires_at: int) -> bytes:
    """Return the head of an answer.

    Args:
        name: the cache key of the answer.
        versions: the version of each tag that the answer depends on.
        etag: the hash of the content.
        notes: bytes for the reader of the answer.
        expires_at: when the answer expires, in seconds since 1970.
    """
    tags = "\n".join(versions).encode()
    payload = _SIZE.pack(len(tags)) + tags + etag.encode() + notes
    return pack(EntryKey(name, tuple(versions)), Kind.PRESENT, expires_at, payload) + b"".join(versions.values())


def unpack_head(head: bytes) -> Head:
    """Return the contents of a head.

    Raises:
        DecodeError: `pack_head` cannot have returned these bytes.
    """
    if len(head) < HEADER_SIZE + _SIZE.size + ETAG_SIZE:
        raise DecodeError("the head of an answer is too short")
    _, _, payload = unpack(head)
    end = _SIZE.size + _SIZE.unpack_from(payload)[0]
    tags, etag = payload[_SIZE.size : end].decode().split("\n"), payload[end : end + ETAG_SIZE].decode()
    return Head(tags, etag, payload[end + ETAG_SIZE :], head[HEADER_SIZE + len(payload) :])


def join(head: bytes, content: bytes) -> bytes:
    """Return the bytes of an answer in the store."""
    return _SIZE.pack(len(head)) + head + content


def split(answer: bytes) -> tuple[bytes, bytes]:
    """Return the head and the content of an answer that `join` has returned."""
    end = _SIZE.size + _SIZE.unpack_from(answer)[0]
    return answer[_SIZE.size : end], answer[end:]


def is_valid(head: Head, states: Sequence[bytes | None]) -> bool:
    """Tell whether the tags of an answer still have these states, which the store must have read in the same step."""
    return None not in states and b"".join(states) == head.versions and len(head.versions) == VERSION_SIZE * len(states)  # type: ignore[arg-type]  # `states` contains no None here
