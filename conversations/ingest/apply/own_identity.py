"""Learns the instance's own LIDs and names, and takes back what they were taken for before they were known."""

from collections.abc import Iterable
from dataclasses import dataclass
from heapq import nsmallest

from django.db import connection

from conversations.db import bulk
from conversations.evolution import jid
from conversations.evolution.envelope import OwnAddresses
from conversations.evolution.facts import ME, InstanceState, OwnIdentity
from conversations.ingest.apply import statements
from conversations.ingest.apply.unit_of_work import UnitOfWork
from conversations.models import Contact, ContactAddress, Instance, Message, StateClock
from conversations.models.state_clock import contact_subject

# An instance has one LID and few names. Of more, the first in alphabetical order stay, whatever the order of events,
# because each webhook request reads the instance's row.
MAX_LIDS = 50
MAX_NAMES = 100


@dataclass(frozen=True)
class OwnIdentities:
    """The address keys of the instance itself, and the address keys and names that were not known before."""

    keys: frozenset[str]
    new_keys: frozenset[str]
    new_names: frozenset[str]


def learn(
    instance: Instance, identities: Iterable[OwnIdentity], states: Iterable[InstanceState], changes: UnitOfWork
) -> OwnIdentities:
    """Add the own LIDs and names in facts to the instance; return them with those that are known already."""
    known = OwnAddresses.of(instance.own_addresses).keys
    identities = list(identities)
    lids = set(nsmallest(MAX_LIDS, {*instance.own_lids, *(fact.lid.jid for fact in identities if fact.lid)}))
    names = set(nsmallest(MAX_NAMES, {*instance.own_names, *(fact.name for fact in identities if fact.name)}))
    phones = {fact.values.get("owner_jid", "") for fact in states}
    new_lids, new_names = lids - set(instance.own_lids), names - set(instance.own_names)
    if new_lids or new_names:
        changes.set(instance, own_lids=sorted(lids), own_names=sorted(names))
    if new_lids:
        _forget(instance, {address.key for one in new_lids if (address := jid.parse(one))}, changes)
    keys = known | {address.key for one in lids | phones if (address := jid.parse(one))}
    return OwnIdentities(keys, keys - known, frozenset(new_names))


def _forget(instance: Instance, keys: set[str], changes: UnitOfWork) -> None:
    """Remove own LIDs from the contacts that have them; a contact with nothing but an own LID is removed."""
    subjects: dict[str, str] = {}
    for row in ContactAddress.objects.filter(instance=instance, key__in=keys).select_related("contact"):
        contact = row.contact
        siblings = list(ContactAddress.objects.filter(contact=contact).exclude(pk=row.pk)) if contact else []
        if contact is None:
            row.delete()
        elif siblings:
            _take_back_claims(row.jid, contact, siblings)
            row.delete()
            changes.set(contact, lid="")
        else:
            subjects[str(contact.pk)] = ME
            if not _is_used(contact):
                contact.delete()
    changes.save()
    if subjects:
        statements.replace_subjects(Message.objects.statements_of(instance, subjects), subjects)


def _take_back_claims(lid: str, contact: Contact, addresses: Iterable[ContactAddress]) -> None:
    """Remove the claims of an own LID, and the numbers which nothing else united; these get new contacts."""
    changed: list[ContactAddress] = []
    removed: list[ContactAddress] = []
    for row in addresses:
        if row.claims.pop(lid, None) is not None:
            (changed if row.claims or row.jid == contact.jid else removed).append(row)
    bulk.bulk_update(connection, changed, ["claims"])
    ContactAddress.objects.filter(pk__any_of=[row.pk for row in removed]).delete()


def _is_used(contact: Contact) -> bool:
    """Return whether anything but its address refers to a contact."""
    states = StateClock.objects.filter(instance=contact.instance_id, subject=contact_subject(contact.pk))
    has_messages = contact.messages.exists() or hasattr(contact, "conversation")
    return has_messages or contact.memberships.exists() or states.exists()
