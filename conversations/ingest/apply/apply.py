"""Applies parsed facts: loads the rows that the facts concern, merges the facts into the rows, writes changed fields.

Loading, merging and writing happen in one transaction of the caller under the instance lock, so that two batches never
merge into the same old row. Batches of different instances do not wait for each other.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import Any, TypeVar

from cachelayer import cache, tags_for
from conversations.evolution import jid
from conversations.evolution.facts import (
    ContactState,
    ConversationState,
    Correspondent,
    Fact,
    InstanceState,
    Membership,
    MessageCopy,
    MessageUpdate,
    OwnIdentity,
    SamePerson,
    weight,
)
from conversations.evolution.jid import Address
from conversations.ingest.apply import own_identity, parts, summaries
from conversations.ingest.apply.contact_index import ContactIndex
from conversations.ingest.apply.conversations import (
    Chat,
    ConversationBatch,
    apply_contact_states,
    apply_conversation_states,
    apply_memberships,
    refresh_contact_names,
)
from conversations.ingest.apply.identities import Identities
from conversations.ingest.apply.latest_state import LatestState
from conversations.ingest.apply.messages import MessageBatch
from conversations.ingest.apply.pending_updates import address_keys, key_ids_for_contacts, pending_for_keys
from conversations.ingest.apply.resolve_contacts import resolve_contacts
from conversations.ingest.apply.unit_of_work import UnitOfWork
from conversations.models import Contact, Instance, Message
from conversations.models.state_clock import INSTANCE, chat_subject, contact_subject, direct_subject

STATEMENTS = ("reaction", "poll")  # kinds of updates whose authors need a contact
# Maximum weight of the facts that are merged together, and of the events of one batch. They take about a second, in
# which other instances wait: for their turn, and on SQLite for the write lock.
MAX_WEIGHT = 2500
F = TypeVar("F")


def apply(instance: Instance, facts: Iterable[Fact]) -> list[Message]:
    """Apply facts of one instance. Several calls with parts of the facts give the same rows.

    Args:
        instance: the instance, which `Instance.objects.lock` has returned in the caller's transaction. If the caller
            rolls back what was applied, the instance must be read again.
        facts: the facts.

    Returns:
        The messages that are new.
    """
    new: list[Message] = []
    for facts_that_fit in (fit for part in _parts(facts) for fit in parts.split(instance, part)):
        messages, waiting = _apply(instance, _FactsByType(facts_that_fit))
        new += messages
        for key_ids in parts.split_key_ids(instance, waiting):
            _apply(instance, _FactsByType(()), key_ids)
    return new


def _parts(facts: Iterable[Fact]) -> Iterator[list[Fact]]:
    """Yield the facts in lists of at most `MAX_WEIGHT`; a heavier fact is alone."""
    part: list[Fact] = []
    left = MAX_WEIGHT
    for fact in facts:
        left -= weight(fact)
        if part and left < 0:
            yield part
            part, left = [], MAX_WEIGHT - weight(fact)
        part.append(fact)
    if part:
        yield part


class _FactsByType:
    """Facts, grouped by type; each group is in the order of the facts."""

    def __init__(self, facts: Iterable[Fact]) -> None:
        self._groups: dict[type, list[Any]] = {}
        for fact in facts:
            self._groups.setdefault(type(fact), []).append(fact)

    def of_type(self, kind: type[F]) -> list[F]:
        """Return the facts of one type."""
        return self._groups.get(kind, [])


def _apply(instance: Instance, facts: _FactsByType, waiting: Iterable[str] = ()) -> tuple[list[Message], set[str]]:
    """Apply facts, and pending updates of their messages and of those with the key ids `waiting`.

    Returns:
        The messages that are new; and the key ids of stored messages whose pending updates can now be applied.
    """
    unit_of_work = UnitOfWork()
    instance_states = facts.of_type(InstanceState)
    own = own_identity.learn(instance, facts.of_type(OwnIdentity), instance_states, unit_of_work)
    copies, updates = facts.of_type(MessageCopy), facts.of_type(MessageUpdate)
    contact_states, conversation_states = facts.of_type(ContactState), facts.of_type(ConversationState)
    memberships = facts.of_type(Membership)
    key_ids = {copy.key_id for copy in copies} | {update.key_id for update in updates} | {*waiting}
    pending = pending_for_keys(instance, key_ids)
    lookup_keys = address_keys([*updates, *pending]) | _message_keys(copies)
    identities = Identities.of_others(facts.of_type(SamePerson), facts.of_type(Correspondent), own.keys)
    addresses = _person_addresses(facts, own.keys)
    contacts = resolve_contacts(instance, addresses, identities, lookup_keys, unit_of_work)
    namesakes = _find_namesakes(instance, own.new_names, contacts)
    subjects = {*_state_subjects(facts, contacts), *(contact_subject(contact.pk) for contact in namesakes)}
    states = LatestState(instance, subjects)
    for fact in instance_states:
        states.apply(instance, fact.values, fact.clock, unit_of_work)
    renamed = apply_contact_states(contact_states, contacts, states, namesakes, unit_of_work)
    now_known = key_ids_for_contacts(instance, contacts.new_keys | own.new_keys) - key_ids
    messages = MessageBatch(instance, [*copies, *updates], pending, contacts, unit_of_work)
    conversations = ConversationBatch(instance, contacts)
    chats = {*_message_chats(copies), *_chats(conversation_states), *_chats(memberships)}
    conversations.load(chats, renamed, messages.conversations)
    refresh_contact_names(renamed, conversations, unit_of_work)
    apply_conversation_states(conversation_states, conversations, states, unit_of_work)
    apply_memberships(memberships, conversations, contacts, unit_of_work)
    for copy in copies:
        conversation = conversations.get(copy.chat, copy.ms)
        messages.add_copy(copy, conversation, conversations.by_pk)
    messages.apply_updates(updates, conversations.by_pk)
    changes = messages.changes()
    changed_conversations = [conversations.by_pk[pk] for pk in changes]
    new_messages = [row for change in changes.values() for row in change.new]
    # One call of `cache.touch` for all rows, because each announcement of a write intent costs a round trip.
    cache.touch(*tags_for([*new_messages, *changed_conversations, *unit_of_work.rows]))
    messages.save()
    summaries.update_summaries({conversations.by_pk[pk]: change for pk, change in changes.items()}, unit_of_work)
    unit_of_work.save()
    states.save()
    return new_messages, now_known


def _chats(facts: Iterable[ConversationState | Membership]) -> Iterator[Chat]:
    return (Chat(fact.chat) for fact in facts)


def _message_chats(copies: Iterable[MessageCopy]) -> Iterator[Chat]:
    return (Chat(copy.chat, copy.ms) for copy in copies)


def _message_keys(copies: Iterable[MessageCopy]) -> set[str]:
    """Return the keys of the addresses that chat messages name."""
    return {address.key for copy in copies for address in (copy.chat, copy.sender) if address is not None}


def _find_namesakes(instance: Instance, names: Collection[str], contacts: ContactIndex) -> list[Contact]:
    """Return the contacts that have a name which turned out to be a name of the instance itself."""
    if not names:
        return []
    known = {contact.pk: contact for contact in contacts.contacts.values()}
    found = Contact.objects.filter(instance=instance, push_name__in=names)
    return [known.get(contact.pk, contact) for contact in found]


def _person_addresses(facts: _FactsByType, own_keys: Collection[str]) -> set[Address]:
    """Return the addresses of persons that the facts contain, each of which needs a contact."""
    copies = facts.of_type(MessageCopy)
    found = {copy.chat for copy in copies} | {copy.sender for copy in copies if copy.sender is not None}
    found |= {fact.address for fact in facts.of_type(ContactState)}
    found |= {fact.chat for fact in facts.of_type(ConversationState)}
    found |= {member.address for fact in facts.of_type(Membership) for member in fact.members}
    authors = {jid.parse(fact.value["who"]) for fact in facts.of_type(MessageUpdate) if fact.kind in STATEMENTS}
    found |= {author for author in authors if author is not None and author.key not in own_keys}
    return {address for address in found if address.is_person}


def _state_subjects(facts: _FactsByType, contacts: ContactIndex) -> Iterator[str]:
    """Yield the `StateClock.subject` of each row for which the facts contain latest-state values."""
    if facts.of_type(InstanceState):
        yield INSTANCE
    for address in {fact.address for fact in facts.of_type(ContactState)}:
        yield contact_subject(contacts.get(address).pk)
    for chat in {fact.chat for fact in facts.of_type(ConversationState)}:
        yield direct_subject(contacts.get(chat).pk) if chat.is_person else chat_subject(chat.jid)
