"""The keys of entries, without prefix and fingerprint. Patterns are matched against them, and the server shows them."""

import fnmatch
import re
from collections.abc import Hashable
from hashlib import blake2s

from cachelayer.protocol.tags import DEFAULT_NAMESPACE, Namespace

_DEFAULT_PREFIX = f"{DEFAULT_NAMESPACE.name}:"


def list_key(key: tuple[object, ...]) -> str:
    """Return the key of a list's page: its tag, and a digest of the tag and all parameters.

    The parameters are hashed because search terms must not be readable on the server.
    """
    return f"{key[0]}:{blake2s(repr(key).encode(), digest_size=16).hexdigest()}"


def value_key(namespace: Namespace, key: str) -> str:
    """Return the key of a value, with the namespace's name before it unless it has a namespace prefix already."""
    return key if ":" in key and namespace is not DEFAULT_NAMESPACE else f"{namespace.name}:{key}"


def local_key(namespace: Namespace, key: Hashable) -> str:
    """Return the store key of an entry in the local cache.

    Args:
        namespace: of the entry.
        key: its key in the local cache: a tuple for a list, a primary key for a row, a string for a value.
    """
    if isinstance(key, tuple):
        return list_key(key)
    if isinstance(key, str) and (
        namespace is DEFAULT_NAMESPACE or key.partition(":")[0] in (namespace.name, namespace.row)
    ):
        return value_key(namespace, key)
    return namespace.row_tag(key)


def matches(name: str, pattern: str) -> bool:
    """Tell whether a key matches a glob with the syntax of `fnmatch`. The prefix `values:` is optional in the glob."""
    return fnmatch.fnmatchcase(name, pattern) or (
        name.startswith(_DEFAULT_PREFIX) and fnmatch.fnmatchcase(name.removeprefix(_DEFAULT_PREFIX), pattern)
    )


def literal_prefixes(pattern: str) -> list[str]:
    """Return prefixes of which every key that matches a glob has at least one."""
    literal = re.split(r"[*?\[\\]", pattern, maxsplit=1)[0]
    return [literal, _DEFAULT_PREFIX + literal] if literal else [""]
