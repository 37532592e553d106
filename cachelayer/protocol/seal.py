"""The seal of an entry in the shared store: a keyed hash of the entry's name and contents.

Whoever can write to the Redis server can replace entries, or copy an entry to another name. Such an entry has no valid
seal, so readers treat it as missing. The seal also ensures that an entry which the server returned for a name was
stored under that name.

The seal does not cover the versions of the tags. Whoever can write entries can also write the states of the tags, so
an old entry with its own seal can be made valid again until it expires.
"""

from collections.abc import Sequence
from hashlib import blake2b, sha256
from secrets import compare_digest

from cachelayer.protocol.digests import Digests
from cachelayer.protocol.entries import HEADER_SIZE, body_end

SEAL_SIZE = 16  # bytes
MAX_SHORT = 1024  # bytes; a longer body is represented by its SHA-256
# The hashed text is the name of the entry, one of these bytes, and the body or its SHA-256. UTF-8 contains neither of
# these bytes, so no two entries have the same text.
_BODY, _DIGEST = b"\xff", b"\xfe"


class Seal:
    """Seals entries with the first key, and accepts the seals of all keys.

    Args:
        keys: secret keys of 32 bytes; the keys after the first one are keys that were used before.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        # Copying a hash object is faster than making one with a key.
        self._hashes = [blake2b(key=key, digest_size=SEAL_SIZE) for key in keys]
        self._digests = Digests()  # of long bodies, by the names of their entries

    def seal_body(self, name: str, body: bytes) -> bytes:
        """Return the body of an entry (an entry without versions) with its seal before it."""
        return self._seal_of(name, body) + body

    def seal(self, name: str, entry: bytes) -> bytes:
        """Return an entry with its seal before it."""
        return self._seal_of(name, entry[: body_end(entry)]) + entry

    def _seal_of(self, name: str, body: bytes) -> bytes:
        digest = self._hashes[0].copy()
        digest.update(name.encode() + (_BODY + body if len(body) <= MAX_SHORT else _DIGEST + sha256(body).digest()))
        return digest.digest()

    def open(self, name: str, sealed: bytes) -> bytes | None:
        """Return the entry without its seal; None if the seal is not valid for an entry of this name.

        This is a part of every hit, so it calls as few functions and copies as few bytes as possible.
        """
        if len(sealed) < SEAL_SIZE + HEADER_SIZE:
            return None
        end = body_end(sealed, SEAL_SIZE)
        if end < SEAL_SIZE + HEADER_SIZE:
            return None
        if end <= SEAL_SIZE + MAX_SHORT:
            text = name.encode() + _BODY + sealed[SEAL_SIZE:end]
        else:
            text = name.encode() + _DIGEST + self._digests.digest(name, sealed, SEAL_SIZE, end)
        seal = sealed[:SEAL_SIZE]
        for keyed in self._hashes:
            digest = keyed.copy()
            digest.update(text)
            if compare_digest(digest.digest(), seal):
                return sealed[SEAL_SIZE:]
        return None
