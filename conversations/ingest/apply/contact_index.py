"""The contacts of a batch, by the address and the time of a fact."""

from collections.abc import Collection
from dataclasses import dataclass, field

from conversations.evolution import jid
from conversations.evolution.jid import Address
from conversations.ingest.apply import phone_holders
from conversations.ingest.apply.phone_holders import Claims
from conversations.models import Contact


@dataclass
class ContactIndex:
    """The contacts to which the addresses in a batch belong.

    Attributes:
        contacts: address key → contact; a phone number belongs to the contact that holds it now.
        claims: address key → claims, of the phone numbers that several LIDs have claimed.
        own_keys: the address keys of the instance itself.
        new_keys: address keys that this batch added to an existing contact, and all address keys of merged contacts.
            A pending update that contains one of the `new_keys` may now match a message.
        renamed: contacts whose preferred JID, phone number or LID changed.
    """

    contacts: dict[str, Contact] = field(default_factory=dict)
    claims: dict[str, Claims] = field(default_factory=dict)
    own_keys: frozenset[str] = frozenset()
    new_keys: set[str] = field(default_factory=set)
    renamed: set[Contact] = field(default_factory=set)

    def get(self, address: Address, ms: int | None = None) -> Contact:
        """Return the contact to which an address belonged at a time in milliseconds since the epoch; None for now."""
        is_lid = address.lid and address.lid not in self.own_keys
        contact = (is_lid and self.find(address.lid, ms)) or self.find(address.key, ms)
        return contact or self.contacts[address.key]  # raises a KeyError that names the unknown address

    def find(self, key: str, ms: int | None = None) -> Contact | None:
        """Return the contact to which an address key belonged at a time, or None if the key is unknown."""
        claims = self.claims.get(key) if ms is not None else None
        holder = self.contacts.get(jid.key_of(phone_holders.holder(claims, ms))) if claims else None
        return holder or self.contacts.get(key)

    def complete(self, keys: Collection[str]) -> None:
        """Give all of a contact's address keys to the contact, which has at least one of them."""
        contact = next(self.contacts[key] for key in keys if key in self.contacts)
        # Not by a difference of sets, because `keys - contacts.keys()` goes through all contacts.
        for key in [key for key in keys if key not in self.contacts]:
            self.contacts[key] = contact
            self.new_keys.add(key)

    def belongs_to(self, key: str, contact_id: int | None) -> bool:
        """Return whether an address key belongs to the contact with a primary key, or once belonged to it."""
        return contact_id in self.all_holders(key)

    def all_holders(self, key: str) -> set[int]:
        """Return the primary keys of the contacts to which an address key belongs or once belonged."""
        keys = (key, *map(jid.key_of, self.claims.get(key, ())))
        return {contact.pk for one in keys if (contact := self.contacts.get(one))}
