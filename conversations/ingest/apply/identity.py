"""Resolves addresses to contacts: finds or creates the contact of each address, and merges contacts of one person."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from conversations.evolution import jid
from conversations.evolution.facts import SamePerson
from conversations.evolution.jid import Address
from conversations.ingest.apply import merge_contacts
from conversations.ingest.apply.union_find import AddressGroup, group_addresses
from conversations.ingest.apply.unit_of_work import UnitOfWork
from conversations.models import Contact, ContactAddress, Instance

MAX_QUERY_KEYS = 5000  # maximum values in one IN clause, because databases limit a statement's parameters


@dataclass
class ContactIndex:
    """The contacts to which the addresses in a batch belong.

    Attributes:
        contacts: address key → contact.
        new_keys: address keys that this batch added to an existing contact, and all address keys of merged contacts.
            A pending update that contains one of the `new_keys` may now match a message.
        renamed: contacts whose preferred JID, phone number or LID changed.
    """

    contacts: dict[str, Contact] = field(default_factory=dict)
    new_keys: set[str] = field(default_factory=set)
    renamed: set[Contact] = field(default_factory=set)

    def get(self, address: Address) -> Contact:
        """Return the contact of an address."""
        return self.contacts[address.key]


def resolve_contacts(
    instance: Instance,
    addresses: Iterable[Address],
    aliases: Iterable[SamePerson],
    lookup_keys: Iterable[str],
    changes: UnitOfWork,
) -> ContactIndex:
    """Find or create the contact of each address; the caller holds the instance lock.

    Args:
        instance: the instance that the contacts belong to.
        addresses: addresses that need a contact.
        aliases: pairs of addresses of one person; both addresses need a contact too.
        lookup_keys: address keys whose contacts are looked up, but not created.
        changes: the unit of work that collects changed contacts and addresses.
    """
    aliases = list(aliases)
    jids: dict[str, set[str]] = {}
    for address in (*addresses, *(alias.one for alias in aliases), *(alias.other for alias in aliases)):
        jids.setdefault(address.key, set()).add(address.jid)
    known = {row.key: row for row in _find_addresses(instance, sorted({*jids, *lookup_keys}))}
    by_pk: dict[int, Contact] = {}  # one `Contact` object per primary key, shared by all addresses of the contact
    index = ContactIndex({key: by_pk.setdefault(row.contact_id, row.contact) for key, row in known.items()})
    pairs = [(alias.one.key, alias.other.key) for alias in aliases]
    groups = group_addresses(jids, pairs, {key: row.contact_id for key, row in known.items()})
    _merge_groups(instance, index, [group for group in groups if len(group.contacts) > 1])
    _create_contacts(instance, index, [group for group in groups if not group.contacts], jids)
    for group in groups:
        contact = next(index.contacts[key] for key in group.keys if key in index.contacts)
        for key in group.keys - index.contacts.keys():
            index.contacts[key] = contact
            index.new_keys.add(key)
    _write_addresses(instance, index, jids, known, changes)
    return index


def address_fields(jids: Iterable[str]) -> dict[str, str]:
    """Choose a contact's fields `jid`, `phone` and `lid` from all its JIDs, whose order does not matter."""
    found = list(jids)
    phones = [one for one in found if not one.endswith("@lid")]
    lids = [one for one in found if one.endswith("@lid")]
    return {
        "jid": jid.preferred_jid(found),
        "phone": jid.preferred_jid(phones).partition("@")[0],
        "lid": jid.preferred_jid(lids).partition("@")[0],
    }


def _find_addresses(instance: Instance, keys: list[str]) -> Iterator[ContactAddress]:
    """Yield the stored addresses whose address key is in `keys`, each with its contact."""
    rows = ContactAddress.objects.filter(instance=instance).select_related("contact")
    for start in range(0, len(keys), MAX_QUERY_KEYS):
        yield from rows.filter(key__in=keys[start : start + MAX_QUERY_KEYS])


def _merge_groups(instance: Instance, index: ContactIndex, groups: list[AddressGroup]) -> None:
    """Merge all contacts of each address group into the group's contact that was created first."""
    by_pk = {contact.pk: contact for contact in index.contacts.values()}
    for group in groups:
        kept, *removed = (by_pk[pk] for pk in sorted(group.contacts))
        index.contacts |= {key: kept for key, contact in index.contacts.items() if contact in removed}
        for contact in removed:
            merge_contacts.merge_contacts(instance, kept, contact)
        keys = set(kept.addresses.values_list("key", flat=True))
        index.contacts |= dict.fromkeys(keys, kept)
        index.new_keys |= keys
        index.renamed.add(kept)


def _create_contacts(
    instance: Instance, index: ContactIndex, groups: list[AddressGroup], jids: Mapping[str, set[str]]
) -> None:
    new = [
        Contact(instance=instance, **address_fields(one for key in group.keys for one in jids[key])) for group in groups
    ]
    for group, contact in zip(groups, Contact.objects.bulk_create(new), strict=True):
        index.contacts |= dict.fromkeys(group.keys, contact)


def _write_addresses(
    instance: Instance,
    index: ContactIndex,
    jids: Mapping[str, set[str]],
    known: Mapping[str, ContactAddress],
    changes: UnitOfWork,
) -> None:
    """Insert new addresses, update stored addresses whose new JID is preferred, and update their contacts' fields."""
    new = [
        ContactAddress(instance=instance, key=key, jid=jid.preferred_jid(list(found)), contact=index.contacts[key])
        for key, found in jids.items()
        if key not in known
    ]
    ContactAddress.objects.bulk_create(new)
    affected = {index.contacts[row.key] for row in new if row.key in index.new_keys} | index.renamed
    for key, row in known.items():
        preferred = jid.preferred_jid([row.jid, *jids.get(key, ())])
        if preferred != row.jid:
            changes.set(row, jid=preferred, contact=index.contacts[key])
            affected.add(index.contacts[key])
    if not affected:
        return
    changes.save()
    jids_by_contact: dict[int, list[str]] = {contact.pk: [] for contact in affected}
    for contact_id, one in ContactAddress.objects.filter(contact__in=affected).values_list("contact", "jid"):
        jids_by_contact[contact_id].append(one)
    index.renamed |= {
        contact for contact in affected if changes.set(contact, **address_fields(jids_by_contact[contact.pk]))
    }
