"""Namespaces and tags of cache entries.

A namespace is a group of cache entries with one time to live. A tag names something that cache entries depend on. The
part of a tag before its first colon tells the namespace: `conversation:42` is the tag of a row,
`conversations:instance:7` is the tag of a list, and `conversations` is the tag of all entries of the namespace
`conversations`. The tag `*` stands for all entries of all namespaces.

A cache entry depends on its own tags, on the tags of their namespaces, and on `*`. Touching a tag invalidates every
cache entry that depends on the tag.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

GLOBAL_TAG = "*"


@dataclass(frozen=True)
class Namespace:
    """A group of cache entries with one time to live.

    Attributes:
        name: the name in the plural, such as `conversations`; tags of lists and keys of values begin with this name.
        row: the name in the singular, such as `conversation`; tags of rows begin with this name. "" if the namespace
            caches no rows.
        ttl: the time to live of the entries in seconds; each entry gets a random time up to a tenth shorter or longer.
        max_items: how many entries of the namespace the local cache of a process may hold.
    """

    name: str
    row: str
    ttl: float
    max_items: int

    @property
    def insert_tag(self) -> str:
        """The tag that every insert of a row touches, so that entries that record a missing row become invalid."""
        return f"{self.name}:new"

    def row_tag(self, pk: object) -> str:
        """Return the tag of the row with this primary key."""
        return f"{self.row}:{pk}"


# The namespace of plain values whose cache key does not begin with the prefix of another namespace (`cache.set`).
DEFAULT_NAMESPACE = Namespace("values", "value", ttl=300, max_items=1000)


class UnknownNamespace(LookupError):
    """Raised for a tag that begins with the prefix of no registered namespace."""


class Namespaces:
    """The registered namespaces, which are looked up by the prefixes of their tags."""

    def __init__(self, namespaces: Iterable[Namespace] = ()) -> None:
        self._by_prefix: dict[str, Namespace] = {}
        for namespace in (DEFAULT_NAMESPACE, *namespaces):
            self.add(namespace)

    def __iter__(self) -> Iterator[Namespace]:
        return iter(dict.fromkeys(self._by_prefix.values()))

    def add(self, namespace: Namespace) -> None:
        """Register a namespace.

        Raises:
            ValueError: another namespace already uses one of the two prefixes of this namespace.
        """
        for prefix in filter(None, (namespace.name, namespace.row)):
            if self._by_prefix.setdefault(prefix, namespace) != namespace:
                raise ValueError(f"the prefix {prefix!r} belongs to two namespaces")

    def for_tag(self, tag: str) -> Namespace:
        """Return the namespace that a tag belongs to.

        Raises:
            UnknownNamespace: the prefix of the tag belongs to no namespace.
        """
        try:
            return self._by_prefix[tag.partition(":")[0]]
        except KeyError:
            raise UnknownNamespace(
                f"no namespace for the tag {tag!r}; the prefixes are {sorted(self._by_prefix)}"
            ) from None

    def for_key(self, key: str) -> Namespace:
        """Return the namespace whose prefix the cache key of a plain value begins with, or the namespace `values`."""
        return self._by_prefix.get(key.partition(":")[0], DEFAULT_NAMESPACE)

    def expand(self, tags: Iterable[str]) -> tuple[str, ...]:
        """Return these tags, then the tags of their namespaces, then `*`, and each tag only once."""
        tags = dict.fromkeys(tags)
        names = dict.fromkeys(self.for_tag(tag).name for tag in tags if tag != GLOBAL_TAG)
        return (*(tag for tag in tags if tag not in names and tag != GLOBAL_TAG), *names, GLOBAL_TAG)
