"""Pure decision: which addresses are one person's, given what was known and what has just been said (union-find)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass
class AddressGroup:
    """The keys of one person's addresses, and the contacts (primary keys) that have some of them already."""

    keys: set[str] = field(default_factory=set)
    contacts: set[int] = field(default_factory=set)


def group_addresses(
    keys: Iterable[str], aliases: Iterable[tuple[str, str]], known: Mapping[str, int]
) -> list[AddressGroup]:
    """Group addresses into persons.

    Args:
        keys: every address that is spoken of.
        aliases: pairs of addresses of one person.
        known: the contact of each address that has one.

    Returns:
        One person a group. More than one contact in a group: they have turned out to be the same person.
    """
    parents: dict[str | int, str | int] = {}

    def root(node: str | int) -> str | int:
        parents.setdefault(node, node)
        while parents[node] != node:
            parents[node] = parents[parents[node]]
            node = parents[node]
        return node

    pairs: list[tuple[str, str | int]] = [(one, other) for one, other in aliases]
    pairs += [(key, contact) for key, contact in known.items()]
    for one, other in pairs:
        parents[root(one)] = root(other)
    groups: dict[str | int, AddressGroup] = {}
    for node in sorted({*keys, *parents}, key=str):
        person = groups.setdefault(root(node), AddressGroup())
        (person.contacts if isinstance(node, int) else person.keys).add(node)  # type: ignore[arg-type]
    return list(groups.values())
