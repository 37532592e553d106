"""Who is who: finds or makes the contact of each address, and unites contacts that turn out to be one person."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from conversations.evolution import jid
from conversations.evolution.facts import SamePerson
from conversations.evolution.jid import Address
from conversations.ingest.apply import merge_contacts
from conversations.ingest.apply.union_find import AddressGroup, group_addresses
from conversations.ingest.apply.unit_of_work import UnitOfWork
from conversations.models import Contact, ContactAddress, Instance

AT_ONCE = 5000


@dataclass
class ContactIndex:
    """The contacts of a batch's addresses, by key.

    `gained` are keys under which a contact that was already there is found only now: what was parked for them may have
    found its message. `renamed` are contacts whose shown address changed.
    """

    contacts: dict[str, Contact] = field(default_factory=dict)
    new_keys: set[str] = field(default_factory=set)
    renamed: set[Contact] = field(default_factory=set)

    def get(self, address: Address) -> Contact:
        """Return an address' contact."""
        return self.contacts[address.key]


def resolve_contacts(
    instance: Instance,
    addresses: Iterable[Address],
    aliases: Iterable[SamePerson],
    mentioned: Iterable[str],
    changes: UnitOfWork,
) -> ContactIndex:
    """Find or make the contact of each address; the caller holds the instance's lock.

    Args:
        instance: whose contacts.
        addresses: people who have a contact from now on.
        aliases: pairs that name one person; both are addresses of it from now on.
        mentioned: keys to look up only.
        changes: where changed contacts are noted.
    """
    aliases = list(aliases)
    jids: dict[str, set[str]] = {}
    for address in (*addresses, *(one.one for one in aliases), *(one.other for one in aliases)):
        jids.setdefault(address.key, set()).add(address.jid)
    known = {row.key: row for row in _known(instance, sorted({*jids, *mentioned}))}
    one_each: dict[int, Contact] = {}  # several addresses, one object: what is set on it is set for all of them
    people = ContactIndex({key: one_each.setdefault(row.contact_id, row.contact) for key, row in known.items()})
    pairs = [(alias.one.key, alias.other.key) for alias in aliases]
    found = group_addresses(jids, pairs, {key: row.contact_id for key, row in known.items()})
    _unite(instance, people, [person for person in found if len(person.contacts) > 1])
    _make(instance, people, [person for person in found if not person.contacts], jids)
    for person in found:
        contact = next(people.contacts[key] for key in person.keys if key in people.contacts)
        for key in person.keys - people.contacts.keys():
            people.contacts[key] = contact
            people.new_keys.add(key)
    _write_addresses(instance, people, jids, known, changes)
    return people


def _known(instance: Instance, keys: list[str]) -> Iterator[ContactAddress]:
    """Yield the addresses that are known, with their contacts; a database takes so many values in one statement."""
    rows = ContactAddress.objects.filter(instance=instance).select_related("contact")
    for start in range(0, len(keys), AT_ONCE):
        yield from rows.filter(key__in=keys[start : start + AT_ONCE])


def _unite(instance: Instance, people: ContactIndex, found: list[AddressGroup]) -> None:
    """Of several contacts keep the one that was there first."""
    by_pk = {contact.pk: contact for contact in people.contacts.values()}
    for person in found:
        kept, *gone = (by_pk[pk] for pk in sorted(person.contacts))
        people.contacts |= {key: kept for key, contact in people.contacts.items() if contact in gone}
        for contact in gone:
            merge_contacts.merge_contacts(instance, kept, contact)
        keys = set(kept.addresses.values_list("key", flat=True))
        people.contacts |= dict.fromkeys(keys, kept)
        people.new_keys |= keys
        people.renamed.add(kept)


def _make(instance: Instance, people: ContactIndex, found: list[AddressGroup], jids: Mapping[str, set[str]]) -> None:
    made = [Contact(instance=instance, **_best(one for key in person.keys for one in jids[key])) for person in found]
    for person, contact in zip(found, Contact.objects.bulk_create(made), strict=True):
        people.contacts |= dict.fromkeys(person.keys, contact)


def _best(jids: Iterable[str]) -> dict[str, str]:
    """What a contact shows of all its addresses, whichever came first."""
    found = list(jids)
    phones = [one for one in found if not one.endswith("@lid")]
    lids = [one for one in found if one.endswith("@lid")]
    return {
        "jid": jid.preferred_jid(found),
        "phone": jid.preferred_jid(phones).partition("@")[0],
        "lid": jid.preferred_jid(lids).partition("@")[0],
    }


def _write_addresses(
    instance: Instance,
    people: ContactIndex,
    jids: Mapping[str, set[str]],
    known: Mapping[str, ContactAddress],
    changes: UnitOfWork,
) -> None:
    """Write new addresses and better ways of writing known ones, and what their contacts now show."""
    new = [
        ContactAddress(instance=instance, key=key, jid=jid.preferred_jid(list(found)), contact=people.contacts[key])
        for key, found in jids.items()
        if key not in known
    ]
    ContactAddress.objects.bulk_create(new)
    moved = {people.contacts[row.key] for row in new if row.key in people.new_keys} | people.renamed
    for key, row in known.items():
        better = jid.preferred_jid([row.jid, *jids.get(key, ())])
        if better != row.jid:
            changes.set(row, jid=better, contact=people.contacts[key])
            moved.add(people.contacts[key])
    if not moved:
        return
    changes.save()
    shown: dict[int, list[str]] = {contact.pk: [] for contact in moved}
    for contact_id, one in ContactAddress.objects.filter(contact__in=moved).values_list("contact", "jid"):
        shown[contact_id].append(one)
    people.renamed |= {contact for contact in moved if changes.set(contact, **_best(shown[contact.pk]))}
