"""The names of entries: what patterns are matched against, and what the server shows."""

import fnmatch
from collections.abc import Hashable
from hashlib import blake2s

from cachelayer.local import LocalTier


def of_list(key: tuple[object, ...]) -> str:
    """Return the name of a list's page: its tag, and a digest of what else makes it.

    Only a digest, for what people search for is nobody's business on the server.
    """
    return f"{key[0]}:{blake2s(repr(key).encode(), digest_size=8).hexdigest()}"


def matches(tier: LocalTier, key: Hashable, pattern: str) -> bool:
    """Whether the name of a local entry matches a glob. Rows are known by their primary key there, lists by a tuple."""
    if isinstance(key, tuple):
        key = of_list(key)
    return fnmatch.fnmatchcase(key if isinstance(key, str) else tier.namespace.row_tag(key), pattern)
