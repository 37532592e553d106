"""Resolves addresses to contacts: finds or creates the contact of each address, and merges contacts of one person."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from django.db import connection

from conversations.db import bulk
from conversations.evolution import jid
from conversations.evolution.facts import Correspondent, SamePerson
from conversations.evolution.jid import Address, AddressKind
from conversations.ingest.apply import merge_contacts, phone_holders, statements
from conversations.ingest.apply.phone_holders import Claims
from conversations.ingest.apply.union_find import AddressGroup, group_addresses
from conversations.ingest.apply.unit_of_work import UnitOfWork
from conversations.models import Contact, ContactAddress, Conversation, Instance

_PHONE = f"{AddressKind.PHONE}:"
MAX_QUERY_KEYS = 5000  # maximum values in one IN clause, because databases limit a statement's parameters
_WRITTEN_FIELDS = ("jid", "contact", "claims", "is_correspondent")


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
        holder = self.contacts.get(_key_of(phone_holders.holder(claims, ms))) if claims else None
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
        keys = (key, *map(_key_of, self.claims.get(key, ())))
        return any(contact.pk == contact_id for one in keys if (contact := self.contacts.get(one)))


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


def resolve_contacts(
    instance: Instance,
    addresses: Iterable[Address],
    identities: Identities,
    lookup_keys: Iterable[str],
    changes: UnitOfWork,
) -> ContactIndex:
    """Find or create the contact of each address; the caller holds the instance lock.

    Args:
        instance: the instance that the contacts belong to.
        addresses: addresses that need a contact.
        identities: what the facts show about addresses; both addresses of a proven pair need a contact too.
        lookup_keys: address keys whose contacts are looked up, but not created.
        changes: the unit of work that collects changed contacts.
    """
    batch = AddressBatch(instance, identities.own_keys)
    for address in addresses:
        batch.need(address)
    paired = {address.key for pair in identities.pairs for address in (pair.phone, pair.lid)}
    batch.load({*lookup_keys, *identities.correspondents, *paired})
    batch.add_identities(identities)
    index = ContactIndex(batch.contacts(), batch.contested(), identities.own_keys)
    index.new_keys |= batch.claimed_anew
    _release(batch, changes)
    known = {key: row.contact_id for key, row in batch.rows.items() if row.contact_id and key not in batch.moved}
    groups = group_addresses(batch.jids, batch.pairs(), known)
    _merge_groups(instance, index, [group for group in groups if len(group.contacts) > 1], batch)
    _create_contacts(instance, index, [group for group in groups if not group.contacts], batch)
    for group in groups:
        index.complete(group.keys)
    affected = batch.write(index)
    index.renamed |= _set_address_fields(affected | index.renamed, changes)
    return index


def look_up(instance: Instance, index: ContactIndex, keys: Iterable[str]) -> None:
    """Add the contacts of stored addresses to an index."""
    batch = AddressBatch(instance, index.own_keys)
    batch.load(set(keys) - index.contacts.keys())
    index.contacts = batch.contacts() | index.contacts
    index.claims = batch.contested() | index.claims


class AddressBatch:
    """The addresses of a batch: their stored rows, the new addresses, and the new claims to phone numbers.

    Attributes:
        rows: address key → stored row.
        jids: address key → JIDs, of the addresses that need a contact.
        new_claims: address key of a phone number → all claims to it, of the phone numbers with a new claim.
        claimed_anew: the address keys of stored phone numbers that a LID has claimed for the first time.
        moved: the address keys of phone numbers that now belong to another LID than before.
    """

    def __init__(self, instance: Instance, own_keys: frozenset[str]) -> None:
        self._instance = instance
        self._own_keys = own_keys
        self._correspondents: dict[str, Address] = {}
        self._waiting: dict[str, tuple[Address, dict[str, list[int]]]] = {}
        self._by_pk: dict[int, Contact] = {}  # one `Contact` object per primary key, shared by all its addresses
        self.rows: dict[str, ContactAddress] = {}
        self.jids: dict[str, set[str]] = {}
        self.new_claims: dict[str, Claims] = {}
        self.claimed_anew: set[str] = set()
        self.moved: set[str] = set()

    def need(self, address: Address) -> None:
        """Record that an address needs a contact."""
        if address.key in self._own_keys and address.lid:  # the instance's number was written beside a contact's LID
            address = jid.parse(f"{address.lid.partition(':')[2]}@{AddressKind.LID}") or address
        self.jids.setdefault(address.key, set()).add(address.jid)

    def load(self, keys: Iterable[str]) -> None:
        """Load the stored rows of `keys` and of all addresses that need a contact, unless they are loaded."""
        missing = sorted({*keys, *self.jids} - self.rows.keys())
        rows = ContactAddress.objects.filter(instance=self._instance).select_related("contact")
        for start in range(0, len(missing), MAX_QUERY_KEYS):
            for row in rows.filter(key__any_of=missing[start : start + MAX_QUERY_KEYS]):
                if row.contact is not None:
                    row.contact = self._by_pk.setdefault(row.contact.pk, row.contact)
                self.rows[row.key] = row

    def add_identities(self, identities: Identities) -> None:
        """Add the pairs of a batch as claims, and load the rows that the claims concern."""
        proven, waiting = identities.known_pairs(self.rows)
        self._correspondents = identities.correspondents
        for pair in waiting:
            lid, known = self._waiting.get(pair.lid.key, (pair.lid, {}))
            claim = {pair.phone.jid: phone_holders.new_claim(pair.ms)}
            self._waiting[lid.key] = lid, phone_holders.merge_claims(known, claim)
        found = [(pair.phone, pair.lid, phone_holders.new_claim(pair.ms)) for pair in proven]
        for lid in identities.correspondents.values():
            row = self.rows.get(lid.key)
            if row is not None and not row.is_correspondent:
                found += [(phone, lid, times) for text, times in row.claims.items() if (phone := jid.parse(text))]
        for phone, lid, _ in found:
            self.need(phone)
            self.need(lid)
        self.load(())  # only the phone numbers of pairs that have waited are not loaded
        new: dict[str, Claims] = {}
        for phone, lid, times in found:
            new[phone.key] = phone_holders.merge_claims(new.get(phone.key, {}), {lid.jid: times})
        for key, claims in new.items():
            self._claim(key, claims)
        self.load(_key_of(lid) for found in self.contested().values() for lid in found)

    def contacts(self) -> dict[str, Contact]:
        """Return the stored contacts by address key, but without the phone numbers that have moved."""
        return {key: row.contact for key, row in self.rows.items() if row.contact and key not in self.moved}

    def contested(self) -> dict[str, Claims]:
        """Return the claims to each phone number that several LIDs have claimed."""
        claims = {key: self._valid(row.claims) for key, row in self.rows.items() if key not in self.new_claims}
        claims |= {key: self._valid(found) for key, found in self.new_claims.items()}
        return {key: found for key, found in claims.items() if len(found) > 1 and key.startswith(_PHONE)}

    def pairs(self) -> list[tuple[str, str]]:
        """Return each phone number with a new claim, and the LID that holds it."""
        return [(key, _key_of(phone_holders.holder(self._valid(claims)))) for key, claims in self.new_claims.items()]

    def write(self, index: ContactIndex) -> set[Contact]:
        """Insert new addresses and update stored ones; return the contacts whose addresses changed."""
        others = {lid.key: {lid.jid} for lid in self._correspondents.values()}
        others |= {lid.key: {lid.jid} for lid, _ in self._waiting.values()}
        affected: set[Contact] = set()
        new, changed = [], []
        for key, found in (others | self.jids).items():
            row = self.rows.get(key) or ContactAddress(instance=self._instance, key=key)
            before = [getattr(row, name) for name in _WRITTEN_FIELDS]
            contact = index.contacts.get(key)
            row.jid = jid.preferred_jid([row.jid, *found] if row.jid else list(found))
            row.contact = contact
            row.claims = self._stored_claims(key, row)
            row.is_correspondent = row.is_correspondent or key in self._correspondents
            after = [getattr(row, name) for name in _WRITTEN_FIELDS]
            is_new = key not in self.rows
            if is_new:
                new.append(row)
            elif before != after:
                changed.append(row)
            is_changed = key in index.new_keys if is_new else before[:2] != after[:2]
            if contact is not None and (is_changed or _may_replace(contact, key, before[2], row.claims)):
                affected.add(contact)
        ContactAddress.objects.bulk_create(new)
        bulk.bulk_update(connection, changed, _WRITTEN_FIELDS)
        return affected

    def _claim(self, key: str, new: Claims) -> None:
        row = self.rows.get(key)
        known: Claims = row.claims if row is not None else {}
        if row is not None and row.contact is not None and row.contact.lid and not known:
            known = {f"{row.contact.lid}@lid": [0, 0]}  # the pair was stored before claims were
        claims = phone_holders.merge_claims(known, new)
        before, after = phone_holders.holder(self._valid(known)), phone_holders.holder(self._valid(claims))
        if claims != known:
            self.new_claims[key] = claims
        if row is not None and claims.keys() != known.keys():
            self.claimed_anew.add(key)
        if before not in ("", after):
            self.moved.add(key)

    def _valid(self, claims: Claims) -> Claims:
        """Return the claims without those of LIDs that turned out to be the instance's own."""
        return {lid: times for lid, times in claims.items() if _key_of(lid) not in self._own_keys}

    def _stored_claims(self, key: str, row: ContactAddress) -> Claims:
        """Return the claims to store: claims to a phone number, or a LID's claims that wait for its first message."""
        known: Claims = row.claims
        if key in self._correspondents:
            return {}
        if key in self._waiting:
            return phone_holders.merge_claims(known, self._waiting[key][1])
        return self.new_claims.get(key, known)


def address_fields(addresses: Mapping[str, Claims]) -> dict[str, str]:
    """Choose a contact's fields `jid`, `phone` and `lid` from all its JIDs and the claims to them, in any order.

    Of several phone numbers, the one that was claimed last is chosen.
    """
    lids = [one for one in addresses if one.endswith("@lid")]
    phones = [one for one in addresses if not one.endswith("@lid")]
    latest = max((phone_holders.latest_claim(addresses[one]) for one in phones), default=None)
    phone = jid.preferred_jid([one for one in phones if phone_holders.latest_claim(addresses[one]) == latest])
    lid = jid.preferred_jid(lids)
    return {"jid": phone or lid, "phone": phone.partition("@")[0], "lid": lid.partition("@")[0]}


def _may_replace(contact: Contact, key: str, before: Claims, after: Claims) -> bool:
    """Return whether new claims to a phone number may change which number `address_fields` chooses for its contact.

    A late event can make a number less preferred, because an earlier first time of a claim lowers the sort key.
    """
    old, new = phone_holders.latest_claim(before), phone_holders.latest_claim(after)
    return new < old if _key_of(contact.jid) == key else new > old


def _key_of(text: str) -> str:
    address = jid.parse(text)
    return address.key if address is not None else ""


def _release(batch: AddressBatch, changes: UnitOfWork) -> None:
    """Take the moved phone numbers from their contacts, so that another contact can be created with the number."""
    losers = {contact for key in batch.moved if (contact := batch.rows[key].contact)}
    if not losers:
        return
    _set_address_fields(losers, changes, without=batch.moved)
    conversations = Conversation.objects.select_for_update(of=("self",), no_key=True).filter(contact__in=losers)
    by_pk = {contact.pk: contact for contact in losers}
    for conversation in conversations.order_by("pk"):
        changes.set(conversation, jid=by_pk[conversation.contact_id or 0].jid)
    changes.save()


def _merge_groups(instance: Instance, index: ContactIndex, groups: list[AddressGroup], batch: AddressBatch) -> None:
    """Merge all contacts of each address group into the group's contact that was created first."""
    by_pk = {contact.pk: contact for contact in index.contacts.values()}
    keys_of: defaultdict[int, list[str]] = defaultdict(list)  # by contact
    for key, contact in index.contacts.items():
        keys_of[contact.pk].append(key)
    subjects: dict[str, str] = {}
    for group in groups:
        kept, *removed = (by_pk[pk] for pk in sorted(group.contacts))
        for contact in removed:
            index.contacts |= dict.fromkeys(keys_of[contact.pk], kept)
            subjects[str(contact.pk)] = str(kept.pk)
            merge_contacts.merge_contacts(instance, kept, contact)
        keys = set(kept.addresses.values_list("key", flat=True))
        index.contacts |= dict.fromkeys(keys - batch.moved, kept)
        index.new_keys |= keys
        index.renamed.add(kept)
    statements.replace_subjects(instance, subjects)


def _create_contacts(instance: Instance, index: ContactIndex, groups: list[AddressGroup], batch: AddressBatch) -> None:
    new = [
        Contact(
            instance=instance,
            **address_fields(
                {one: batch.new_claims.get(key, {}) for key in group.keys for one in batch.jids.get(key, ())}
            ),
        )
        for group in groups
    ]
    for group, contact in zip(groups, Contact.objects.bulk_create(new), strict=True):
        index.contacts |= dict.fromkeys(group.keys, contact)


def _set_address_fields(contacts: Iterable[Contact], changes: UnitOfWork, without: Iterable[str] = ()) -> set[Contact]:
    """Set the fields `jid`, `phone` and `lid` of contacts; return the contacts whose fields changed."""
    found: dict[int, dict[str, Claims]] = {contact.pk: {} for contact in contacts}
    if not found:
        return set()
    rows = ContactAddress.objects.filter(contact__in=found).exclude(key__in=list(without))
    for contact_id, one, claims in rows.values_list("contact_id", "jid", "claims"):
        found[contact_id][one] = claims
    return {contact for contact in contacts if changes.set(contact, **address_fields(found[contact.pk]))}
