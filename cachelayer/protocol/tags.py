"""Namespaces and tags.

A namespace is a group of entries with one time to live. A tag names something that entries depend on. Its prefix, up to
the first colon, names its namespace: `conversation:42` is the tag of a row, `conversations:instance:7` the tag of a
    list,
and `conversations` the tag of the whole namespace. `*` is the tag of all namespaces.

An entry depends on its own tags, on the tags of their namespaces, and on `*`. Touching a tag invalidates every entry
that depends on it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

GLOBAL_TAG = "*"


@dataclass(frozen=True)
class Namespace:
    """A group of entries.

    Attributes:
        name: the plural, such as `conversations`; the prefix of list tags and values.
        row: the singular, such as `conversation`; the prefix of row tags; "" if the namespace has no rows.
        ttl: time to live of its entries in seconds; a fill varies it at random by up to a tenth.
        max_items: the number of entries that the local cache may hold.
    """

    name: str
    row: str
    ttl: float
    max_items: int

    @property
    def insert_tag(self) -> str:
        """The tag that every insert touches; negative entries depend on it."""
        return f"{self.name}:new"

    def row_tag(self, pk: object) -> str:
        """Return the tag of one row."""
        return f"{self.row}:{pk}"


# Holds values whose key has no namespace prefix (`cache.set`).
DEFAULT_NAMESPACE = Namespace("values", "value", ttl=300, max_items=1000)


class UnknownNamespace(LookupError):
    """The prefix of a tag belongs to no namespace."""


class Namespaces:
    """The registered namespaces, by the prefixes of their tags."""

    def __init__(self, namespaces: Iterable[Namespace] = ()) -> None:
        self._by_prefix: dict[str, Namespace] = {}
        for namespace in (DEFAULT_NAMESPACE, *namespaces):
            self.add(namespace)

    def __iter__(self) -> Iterator[Namespace]:
        return iter(dict.fromkeys(self._by_prefix.values()))

    def add(self, namespace: Namespace) -> None:
        """Register a namespace.

        Raises:
            ValueError: another namespace uses one of its prefixes.
        """
        for prefix in filter(None, (namespace.name, namespace.row)):
            if self._by_prefix.setdefault(prefix, namespace) != namespace:
                raise ValueError(f"the prefix {prefix!r} belongs to two namespaces")

    def for_tag(self, tag: str) -> Namespace:
        """Return the namespace of a tag.

        Raises:
            UnknownNamespace: its prefix belongs to no namespace.
        """
        try:
            return self._by_prefix[tag.partition(":")[0]]
        except KeyError:
            raise UnknownNamespace(
                f"no namespace for the tag {tag!r}; the prefixes are {sorted(self._by_prefix)}"
            ) from None

    def for_key(self, key: str) -> Namespace:
        """Return the namespace of a value's key: `values`, unless the key begins with the prefix of another one."""
        return self._by_prefix.get(key.partition(":")[0], DEFAULT_NAMESPACE)

    def expand(self, tags: Iterable[str]) -> tuple[str, ...]:
        """Return the tags, followed by the tags of their namespaces and by `*`, without duplicates."""
        tags = dict.fromkeys(tags)
        names = dict.fromkeys(self.for_tag(tag).name for tag in tags if tag != GLOBAL_TAG)
        return (*(tag for tag in tags if tag not in names and tag != GLOBAL_TAG), *names, GLOBAL_TAG)
