"""Hashes long byte strings from the store with SHA-256, which most processors compute twice as fast as BLAKE2b.

A process reads the same entry many times before the entry changes. To compare it with the one read before takes a
thirtieth of the time of hashing it.
"""

from hashlib import sha256

from cachelayer.protocol.memo import Memo

MAX_MEMO_BYTES = 2**20  # bytes that all byte strings in one memo may have
MAX_MEMO_ITEMS = 1024
MAX_LENGTH = 2**16  # bytes; a longer byte string is not kept in the memo


class Digests:
    """The digests of parts of byte strings that are read by name. The name has no influence on the digest."""

    def __init__(self) -> None:
        self._memo: Memo[str, tuple[bytes, int, int, bytes]] = Memo(MAX_MEMO_BYTES, MAX_MEMO_ITEMS)

    def digest(self, name: str, data: bytes, start: int, end: int) -> bytes:
        """Return the SHA-256 of `data[start:end]`; compute nothing if that is what was asked last under this name."""
        found = self._memo.get(name)
        if found is not None and found[0] == data and found[1:3] == (start, end):
            return found[3]
        digest = sha256(memoryview(data)[start:end]).digest()
        if len(data) <= MAX_LENGTH:
            self._memo.keep(name, (data, start, end, digest), len(data))
        return digest
