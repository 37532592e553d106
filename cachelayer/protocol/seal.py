"""The seal of an entry in the shared store: a keyed hash of the entry's name and contents.

Whoever can write to the Redis server can replace entries, or copy an entry to another name. Such an entry has no valid
seal, so readers treat it as missing. The seal also ensures that an entry which the server returned for a name was
stored under that name.

The seal does not cover the versions of the tags. Whoever can write entries can also write the states of the tags, so
an old entry with its own seal can be made valid again until it expires.
"""

from collections.abc import Sequence
from hashlib import blake2b
from secrets import compare_digest

from cachelayer.protocol.digests import Digests
from cachelayer.protocol.entries import HEADER_SIZE, body_size

SEAL_SIZE = 16  # bytes
MAX_SHORT = 1024  # bytes; a longer body is represented by its SHA-256


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
        return _digest(self._hashes[0], self._sealed_data(name, body)) + body

    def seal(self, name: str, entry: bytes) -> bytes:
        """Return an entry with its seal before it."""
        return _digest(self._hashes[0], self._sealed_data(name, entry[: body_size(entry)])) + entry

    def open(self, name: str, sealed: bytes) -> bytes | None:
        """Return the entry without its seal; None if the seal is not valid for an entry of this name."""
        entry, seal = sealed[SEAL_SIZE:], sealed[:SEAL_SIZE]
        size = body_size(entry) if len(entry) >= HEADER_SIZE else 0
        if size < HEADER_SIZE:
            return None
        data = self._sealed_data(name, entry[:size])
        for keyed in self._hashes:
            if compare_digest(_digest(keyed, data), seal):
                return entry
        return None

    def _sealed_data(self, name: str, body: bytes) -> bytes:
        """Return what is hashed for a name and a body: no other name and body give the same, because of its beginning.

        A long body is represented by its SHA-256.
        """
        if len(body) <= MAX_SHORT:
            return f"{len(name)}:{name}".encode() + body
        return f"{len(name)}#{name}".encode() + self._digests.digest(name, body)


def _digest(keyed: blake2b, data: bytes) -> bytes:
    digest = keyed.copy()
    digest.update(data)
    return digest.digest()
