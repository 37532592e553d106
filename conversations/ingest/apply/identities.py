"""Collects what the facts of a batch show about the addresses of persons."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from conversations.evolution.facts import Correspondent, SamePerson
from conversations.evolution.jid import Address
from conversations.models import ContactAddress


@dataclass
class Identities:
    """What the facts of a batch show about the addresses of persons.

    Attributes:
        own_keys: the address keys of the instance itself, which no pair and no correspondent has.
        pairs: pairs of a phone number and a LID.
        correspondents: address key → LID, of the LIDs under which messages were exchanged.
    """

    own_keys: frozenset[str] = frozenset()
    pairs: list[SamePerson] = field(default_factory=list)
    correspondents: dict[str, Address] = field(default_factory=dict)

    @classmethod
    def of_others(
        cls, pairs: Iterable[SamePerson], correspondents: Iterable[Correspondent], own_keys: frozenset[str]
    ) -> "Identities":
        """Collect the facts about addresses, but nothing that concerns an address of the instance itself."""
        return cls(
            own_keys,
            [pair for pair in pairs if own_keys.isdisjoint((pair.phone.key, pair.lid.key))],
            {fact.lid.key: fact.lid for fact in correspondents if fact.lid.key not in own_keys},
        )

    def known_pairs(self, rows: Mapping[str, ContactAddress]) -> tuple[list[SamePerson], list[SamePerson]]:
        """Return the pairs that prove something, and those that have to wait until their LID is a correspondent's."""
        known = {key for key, row in rows.items() if row.is_correspondent} | self.correspondents.keys()
        proven: list[SamePerson] = []
        waiting: list[SamePerson] = []
        for pair in self.pairs:
            (proven if pair.is_certain or pair.lid.key in known else waiting).append(pair)
        return proven, waiting
