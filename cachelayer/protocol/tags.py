"""Namespaces: families of entries with one policy, and the names of the tags that belong to them.

A tag's first word says its namespace: `conversation:42` is a row's, `conversations:instance:7` a list's, and
`conversations` alone stands for everything in the namespace. `*` stands for everything in every namespace. An entry
depends on the tags it names, on their namespaces' tags, and on `*`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

GLOBAL_TAG = "*"


@dataclass(frozen=True)
class Namespace:
    """One family of entries.

    Attributes:
        name: the plural, `conversations`.
        row: the singular, `conversation`; "" for one that has no rows.
        ttl: seconds that an entry lives at most, give or take a tenth.
        max_items: entries in the local tier.
    """

    name: str
    row: str
    ttl: float
    max_items: int

    @property
    def insert_tag(self) -> str:
        """The tag that every new row touches; a known absence depends on it."""
        return f"{self.name}:new"

    def row_tag(self, pk: object) -> str:
        """Return the tag of one row."""
        return f"{self.row}:{pk}"


# What `cache.set` stores under a key that begins with no namespace's name.
DEFAULT_NAMESPACE = Namespace("values", "value", ttl=300, max_items=1000)


class UnknownNamespace(LookupError):
    """A tag whose first word names no namespace."""


class Namespaces:
    """All namespaces, by the words that their tags begin with."""

    def __init__(self, namespaces: Iterable[Namespace] = ()) -> None:
        self._by_word: dict[str, Namespace] = {}
        for namespace in (DEFAULT_NAMESPACE, *namespaces):
            self.add(namespace)

    def __iter__(self) -> Iterator[Namespace]:
        return iter(dict.fromkeys(self._by_word.values()))

    def add(self, namespace: Namespace) -> None:
        """Register a namespace.

        Raises:
            ValueError: one of its words is another's.
        """
        for word in filter(None, (namespace.name, namespace.row)):
            if self._by_word.setdefault(word, namespace) != namespace:
                raise ValueError(f"the word {word!r} names two namespaces")

    def for_tag(self, tag: str) -> Namespace:
        """Return a tag's namespace.

        Raises:
            UnknownNamespace: it has none.
        """
        word = tag.partition(":")[0]
        try:
            return self._by_word[word]
        except KeyError:
            raise UnknownNamespace(f"no namespace for the tag {tag!r}; there are {sorted(self._by_word)}") from None

    def for_key(self, key: str) -> Namespace:
        """Return the namespace of a value's key: `values` unless it begins with another one's word."""
        return self._by_word.get(key.partition(":")[0], DEFAULT_NAMESPACE)

    def expand(self, tags: Iterable[str]) -> tuple[str, ...]:
        """Return the tags, then those that stand for them: their namespaces and `*`. None comes twice."""
        tags = dict.fromkeys(tags)
        names = dict.fromkeys(self.for_tag(tag).name for tag in tags if tag != GLOBAL_TAG)
        return (*(tag for tag in tags if tag not in names and tag != GLOBAL_TAG), *names, GLOBAL_TAG)
