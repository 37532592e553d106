"""Cache keys of entries. A key on the Redis server is a cache key with a prefix and a fingerprint added."""

import fnmatch
import re
from collections.abc import Hashable
from hashlib import blake2s

from cachelayer.protocol.tags import DEFAULT_NAMESPACE, Namespace

_DEFAULT_PREFIX = f"{DEFAULT_NAMESPACE.name}:"


def list_key(key: tuple[object, ...]) -> str:
    """Return the cache key of one page of a list: the tag of the list, and a digest of the tag and all parameters.

    The parameters of a list are hashed because search terms must not be readable on the Redis server.

    Args:
        key: the tag of the list, followed by the parameters of the page.
    """
    return f"{key[0]}:{blake2s(repr(key).encode(), digest_size=16).hexdigest()}"


def value_key(namespace: Namespace, key: str) -> str:
    """Return the cache key of a plain value, which starts with the prefix of a namespace even if `key` does not."""
    return key if ":" in key and namespace is not DEFAULT_NAMESPACE else f"{namespace.name}:{key}"


def local_key(namespace: Namespace, key: Hashable) -> str:
    """Return the cache key in the store that belongs to a key in the local cache.

    Args:
        namespace: the namespace of the entry.
        key: the key of the entry in the local cache: a tuple for a list, a primary key for a row, a string for a value.
    """
    if isinstance(key, tuple):
        return list_key(key)
    if isinstance(key, str) and (
        namespace is DEFAULT_NAMESPACE or key.partition(":")[0] in (namespace.name, namespace.row)
    ):
        return value_key(namespace, key)
    return namespace.row_tag(key)


def matches(name: str, pattern: str) -> bool:
    """Tell whether a cache key, or a cache key without its prefix `values:`, matches a glob of `fnmatch`."""
    return fnmatch.fnmatchcase(name, pattern) or (
        name.startswith(_DEFAULT_PREFIX) and fnmatch.fnmatchcase(name.removeprefix(_DEFAULT_PREFIX), pattern)
    )


def literal_prefixes(pattern: str) -> list[str]:
    """Return strings such that every cache key that matches the glob begins with at least one of these strings."""
    literal = re.split(r"[*?\[\\]", pattern, maxsplit=1)[0]
    return [literal, _DEFAULT_PREFIX + literal] if literal else [""]
