"""Groups addresses of the same contact with the union-find algorithm. Pure: no database."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass
class AddressGroup:
    """Address keys of one contact, and the primary keys of the contacts that already have one of these addresses."""

    keys: set[str] = field(default_factory=set)
    contacts: set[int] = field(default_factory=set)


def group_addresses(
    keys: Iterable[str], aliases: Iterable[tuple[str, str]], known: Mapping[str, int]
) -> list[AddressGroup]:
    """Group address keys into contacts.

    Args:
        keys: address keys to group.
        aliases: pairs of keys of the same contact; they need not be in `keys`.
        known: the contact's primary key by address key; new addresses are missing.

    Returns:
        One group per contact. A group with several `contacts` means that these must be merged.
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
