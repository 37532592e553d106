"""Loads the addresses of a batch, adds the claims of the batch to them, and stores them."""

from collections.abc import Iterable

from django.db import connection

from conversations.db import bulk
from conversations.evolution import jid
from conversations.evolution.jid import Address, AddressKind
from conversations.ingest.apply import phone_holders
from conversations.ingest.apply.address_fields import may_replace
from conversations.ingest.apply.contact_index import ContactIndex
from conversations.ingest.apply.identities import Identities
from conversations.ingest.apply.phone_holders import Claims
from conversations.models import Contact, ContactAddress, Instance

_PHONE = f"{AddressKind.PHONE}:"
MAX_QUERY_KEYS = 5000  # maximum values in one IN clause, because databases limit a statement's parameters
_WRITTEN_FIELDS = ("jid", "contact", "claims", "is_correspondent")


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
        if not missing:
            return
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
        self.load(lid for _, lid in self.pairs())

    def load_holders(self, keys: Iterable[str]) -> dict[str, Claims]:
        """Load the LIDs to which contested phone numbers belonged; return the claims, see `ContactIndex.claims`."""
        contested = self._contested(keys)
        self.load(jid.key_of(lid) for found in contested.values() for lid in found)
        return contested

    def contacts(self) -> dict[str, Contact]:
        """Return the stored contacts by address key, but without the phone numbers that have moved."""
        return {key: row.contact for key, row in self.rows.items() if row.contact and key not in self.moved}

    def _contested(self, keys: Iterable[str]) -> dict[str, Claims]:
        known = (
            (key, self.new_claims.get(key) or self.rows[key].claims)
            for key in keys
            if key in self.rows or key in self.new_claims
        )
        return {key: found for key, claims in known if key.startswith(_PHONE) and len(found := self._valid(claims)) > 1}

    def pairs(self) -> list[tuple[str, str]]:
        """Return each phone number with a new claim, and the LID that holds it."""
        return [(key, jid.key_of(phone_holders.holder(self._valid(claims)))) for key, claims in self.new_claims.items()]

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
            if contact is not None and (is_changed or may_replace(contact, key, before[2], row.claims)):
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
        return {lid: times for lid, times in claims.items() if jid.key_of(lid) not in self._own_keys}

    def _stored_claims(self, key: str, row: ContactAddress) -> Claims:
        """Return the claims to store: claims to a phone number, or a LID's claims that wait for its first message."""
        known: Claims = row.claims
        if key in self._correspondents:
            return {}
        if key in self._waiting:
            return phone_holders.merge_claims(known, self._waiting[key][1])
        return self.new_claims.get(key, known)
