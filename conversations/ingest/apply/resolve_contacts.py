"""Resolves addresses to contacts: finds or creates the contact of each address, and merges contacts of one person."""

from collections import defaultdict
from collections.abc import Iterable

from conversations.evolution.jid import Address
from conversations.ingest.apply import merge_contacts, statements
from conversations.ingest.apply.address_batch import AddressBatch
from conversations.ingest.apply.address_fields import address_fields, set_address_fields
from conversations.ingest.apply.contact_index import ContactIndex
from conversations.ingest.apply.contact_sizes import contact_sizes
from conversations.ingest.apply.identities import Identities
from conversations.ingest.apply.union_find import AddressGroup, group_addresses
from conversations.ingest.apply.unit_of_work import UnitOfWork
from conversations.models import Contact, ContactAddress, Conversation, Instance, Message


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
        lookup_keys: address keys whose contacts are looked up, also of former times, but not created.
        changes: the unit of work that collects changed contacts.
    """
    batch = AddressBatch(instance, identities.own_keys)
    for address in addresses:
        batch.need(address)
    paired = {address.key for pair in identities.pairs for address in (pair.phone, pair.lid)}
    batch.load({*lookup_keys, *identities.correspondents, *paired})
    batch.add_identities(identities)
    claims = batch.load_holders(lookup_keys)
    index = ContactIndex(batch.contacts(), claims, identities.own_keys)
    index.new_keys |= batch.claimed_anew
    _release(batch, changes)
    known = {key: row.contact_id for key, row in batch.rows.items() if row.contact_id and key not in batch.moved}
    groups = group_addresses(batch.jids, batch.pairs(), known)
    _merge_groups(instance, index, [group for group in groups if len(group.contacts) > 1], batch)
    _create_contacts(instance, index, [group for group in groups if not group.contacts], batch)
    for group in groups:
        index.complete(group.keys)
    affected = batch.write(index)
    index.renamed |= set_address_fields(affected | index.renamed, changes)
    return index


def _release(batch: AddressBatch, changes: UnitOfWork) -> None:
    """Take the moved phone numbers from their contacts, so that another contact can be created with the number."""
    losers = {contact for key in batch.moved if (contact := batch.rows[key].contact)}
    if not losers:
        return
    set_address_fields(losers, changes, without=batch.moved)
    conversations = Conversation.objects.select_for_update(of=("self",), no_key=True).filter(contact__in=losers)
    by_pk = {contact.pk: contact for contact in losers}
    for conversation in conversations.order_by("pk"):
        changes.set(conversation, jid=by_pk[conversation.contact_id or 0].jid)
    changes.save()


def _merge_groups(instance: Instance, index: ContactIndex, groups: list[AddressGroup], batch: AddressBatch) -> None:
    """Merge all contacts of each address group into the contact with the most rows, or else the one created first."""
    if not groups:
        return
    every = [pk for group in groups for pk in group.contacts]
    made = Message.objects.statements_of(instance, [str(pk) for pk in every])
    sizes = contact_sizes(every, made)
    by_pk = {contact.pk: contact for contact in index.contacts.values()}
    keys_of: defaultdict[int, list[str]] = defaultdict(list)  # by contact
    for key, contact in index.contacts.items():
        keys_of[contact.pk].append(key)
    subjects: dict[str, str] = {}
    chains = [[by_pk[pk] for pk in sorted(group.contacts, key=lambda pk: (-sizes[pk], pk))] for group in groups]
    all_kept = {chain[0].pk: chain[0] for chain in chains}
    for kept, *removed in chains:
        for contact in removed:
            index.contacts |= dict.fromkeys(keys_of[contact.pk], kept)
            subjects[str(contact.pk)] = str(kept.pk)
    statements.replace_subjects(made, subjects)
    # Neighbours are merged, then those that were kept, and so on: thousands of contacts take a dozen rounds.
    while pairs := [pair for chain in chains for pair in zip(chain[::2], chain[1::2], strict=False)]:
        merge_contacts.merge_contacts(instance, pairs)
        chains = [chain[::2] for chain in chains]
    addresses = ContactAddress.objects.filter(contact__any_of=all_kept)
    for pk, key in addresses.values_list("contact", "key"):
        index.new_keys.add(key)
        if key not in batch.moved:
            index.contacts[key] = all_kept[pk]
    index.renamed |= set(all_kept.values())


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
