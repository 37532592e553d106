"""Groups the addresses of each contact with the union-find algorithm, without using the database."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass
class AddressGroup:
    """The address keys of one person, and the primary keys of the stored contacts with one of these addresses."""

    keys: set[str] = field(default_factory=set)
    contacts: set[int] = field(default_factory=set)


def group_addresses(
    keys: Iterable[str], aliases: Iterable[tuple[str, str]], known: Mapping[str, int]
) -> list[AddressGroup]:
    """Group address keys, so that each group contains the keys of one person.

    Args:
        keys: address keys to group.
        aliases: pairs of address keys of one person; the keys in a pair need not be in `keys`.
        known: address key → primary key of the contact that has this address in the database.

    Returns:
        One group per person. If a group has several `contacts`, these contacts must be merged.
    """
    parents: dict[str | int, str | int] = {}

    def find_root(node: str | int) -> str | int:
        parents.setdefault(node, node)
        while parents[node] != node:
            parents[node] = parents[parents[node]]
            node = parents[node]
        return node

    edges: list[tuple[str, str | int]] = [*aliases, *known.items()]
    for one, other in edges:
        parents[find_root(one)] = find_root(other)
    groups: dict[str | int, AddressGroup] = {}
    for node in sorted({*keys, *parents}, key=str):
        group = groups.setdefault(find_root(node), AddressGroup())
        if isinstance(node, int):
            group.contacts.add(node)
        else:
            group.keys.add(node)
    return list(groups.values())
