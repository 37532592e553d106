"""The names of entries: what patterns are matched against, and what the server shows."""

import fnmatch
import re
from collections.abc import Hashable
from hashlib import blake2s

from cachelayer.protocol.tags import DEFAULT_NAMESPACE, Namespace

_OF_VALUES = f"{DEFAULT_NAMESPACE.name}:"


def list_key(key: tuple[object, ...]) -> str:
    """Return the name of a list's page: its tag, and a digest of what else makes it.

    Only a digest, for what people search for is nobody's business on the server.
    """
    return f"{key[0]}:{blake2s(repr(key).encode(), digest_size=16).hexdigest()}"


def value_key(namespace: Namespace, key: str) -> str:
    """Return the name of a value, which begins with its namespace's, or its row's, and a colon."""
    return key if ":" in key and namespace is not DEFAULT_NAMESPACE else f"{namespace.name}:{key}"


def local_key(namespace: Namespace, key: Hashable) -> str:
    """Return the name of what the local tier has under a key: a tuple for a list, a row's primary key, or a value's."""
    if isinstance(key, tuple):
        return list_key(key)
    if isinstance(key, str) and (
        namespace is DEFAULT_NAMESPACE or key.partition(":")[0] in (namespace.name, namespace.row)
    ):
        return value_key(namespace, key)
    return namespace.row_tag(key)


def matches(name: str, pattern: str) -> bool:
    """Whether a name matches a glob as Python's `fnmatch` has it. That a value is one of `values` need not be said."""
    return fnmatch.fnmatchcase(name, pattern) or (
        name.startswith(_OF_VALUES) and fnmatch.fnmatchcase(name.removeprefix(_OF_VALUES), pattern)
    )


def literal_prefixes(pattern: str) -> list[str]:
    """Return what the names that match a glob begin with, one or the other."""
    literal = re.split(r"[*?\[\\]", pattern, maxsplit=1)[0]
    return [literal, _OF_VALUES + literal] if literal else [""]
