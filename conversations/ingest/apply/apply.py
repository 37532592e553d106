"""Applies parsed facts: loads the rows that the facts concern, merges the facts into the rows, writes changed fields.

Loading, merging and writing happen in one transaction under the instance lock, so that two batches never merge into the
same old row. Batches of different instances do not wait for each other.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import TypeVar

from django.db import transaction

from cachelayer import cache, tags_for
from conversations.evolution import coerce, jid
from conversations.evolution.facts import (
    ContactState,
    ConversationState,
    Fact,
    InstanceState,
    Membership,
    MessageCopy,
    MessageUpdate,
)
from conversations.evolution.jid import Address
from conversations.ingest.apply import own_identity, summaries
from conversations.ingest.apply.conversations import (
    Chat,
    ConversationBatch,
    apply_contact_states,
    apply_conversation_states,
    apply_memberships,
    refresh_contact_names,
)
from conversations.ingest.apply.identity import ContactIndex, Identities, look_up, resolve_contacts
from conversations.ingest.apply.latest_state import LatestState, chat_subject, contact_subject, direct_subject
from conversations.ingest.apply.messages import MessageBatch, address_keys, pending_for_contacts, pending_for_keys
from conversations.ingest.apply.unit_of_work import UnitOfWork
from conversations.models import Contact, Instance

STATEMENTS = ("reaction", "poll")  # kinds of updates whose authors need a contact
MAX_FACTS = 2500  # maximum number of facts merged together; a history import contains thousands of facts
F = TypeVar("F")


def apply(instance: Instance, facts: Iterable[Fact]) -> None:
    """Apply facts of one instance in one transaction. Several calls with parts of the facts give the same rows."""
    facts = list(facts)
    if not facts:
        return
    with transaction.atomic():
        locked = Instance.objects.lock(instance.pk)
        for start in range(0, len(facts), MAX_FACTS):
            _apply(locked, facts[start : start + MAX_FACTS])


def _apply(instance: Instance, facts: list[Fact]) -> None:
    unit_of_work = UnitOfWork()
    own = own_identity.learn(instance, facts, unit_of_work)
    copies, updates = _of_type(MessageCopy, facts), _of_type(MessageUpdate, facts)
    memberships = _of_type(Membership, facts)
    contact_states, conversation_states = _of_type(ContactState, facts), _of_type(ConversationState, facts)
    key_ids = {copy.key_id for copy in copies} | {update.key_id for update in updates}
    pending = pending_for_keys(instance, key_ids)
    lookup_keys = address_keys([*updates, *pending])
    identities = Identities.from_facts(facts, own.keys)
    addresses = _person_addresses(facts, own.keys)
    contacts = resolve_contacts(instance, addresses, identities, lookup_keys, unit_of_work)
    namesakes = _find_namesakes(instance, own.new_names, contacts)
    subjects = {*_state_subjects(facts, contacts), *(contact_subject(contact.pk) for contact in namesakes)}
    states = LatestState(instance, subjects)
    for fact in _of_type(InstanceState, facts):
        states.apply(instance, fact.values, fact.clock, unit_of_work)
    renamed = apply_contact_states(contact_states, contacts, states, namesakes, unit_of_work)
    pending += (found := pending_for_contacts(instance, contacts.new_keys | own.new_keys))
    look_up(instance, contacts, address_keys(found))
    messages = MessageBatch(instance, key_ids, pending, contacts, unit_of_work)
    conversations = ConversationBatch(instance, contacts)
    chats = {*_message_chats(copies), *_chats(conversation_states), *_chats(memberships)}
    conversations.load(chats, renamed, messages.conversations)
    refresh_contact_names(renamed, conversations, unit_of_work)
    apply_conversation_states(conversation_states, conversations, states, unit_of_work)
    apply_memberships(memberships, conversations, contacts, unit_of_work)
    for copy in copies:
        conversation = conversations.get(copy.chat, coerce.to_ms(copy.timestamp))
        messages.add_copy(copy, conversation, conversations.by_pk)
    messages.apply_updates(updates, conversations.by_pk)
    changes = messages.changes()
    changed_conversations = [conversations.by_pk[pk] for pk in changes]
    new_messages = [row for change in changes.values() for row in change.new]
    # One call of `cache.touch` for all rows, because each announcement of a write intent costs a round trip.
    cache.touch(*tags_for([*new_messages, *changed_conversations, *unit_of_work.rows]))
    messages.save()
    unit_of_work.save()
    for pk, change in changes.items():
        summaries.update_summary(conversations.by_pk[pk], change, unit_of_work)
    unit_of_work.save()
    states.save()


def _of_type(kind: type[F], facts: Iterable[object]) -> list[F]:
    return [fact for fact in facts if isinstance(fact, kind)]


def _chats(facts: Iterable[ConversationState | Membership]) -> Iterator[Chat]:
    return (Chat(fact.chat) for fact in facts)


def _message_chats(copies: Iterable[MessageCopy]) -> Iterator[Chat]:
    return (Chat(copy.chat, coerce.to_ms(copy.timestamp)) for copy in copies)


def _find_namesakes(instance: Instance, names: Collection[str], contacts: ContactIndex) -> list[Contact]:
    """Return the contacts that have a name which turned out to be a name of the instance itself."""
    if not names:
        return []
    known = {contact.pk: contact for contact in contacts.contacts.values()}
    found = Contact.objects.filter(instance=instance, push_name__in=names)
    return [known.get(contact.pk, contact) for contact in found]


def _person_addresses(facts: Iterable[Fact], own_keys: Collection[str]) -> Iterator[Address]:
    """Yield the addresses of persons that the facts contain, each of which needs a contact."""
    for fact in facts:
        found: tuple[Address | None, ...] = ()
        if isinstance(fact, ContactState):
            found = (fact.address,)
        elif isinstance(fact, MessageCopy):
            found = (fact.chat, fact.sender)
        elif isinstance(fact, ConversationState):
            found = (fact.chat,)
        elif isinstance(fact, MessageUpdate) and fact.kind in STATEMENTS:
            who = jid.parse(fact.value["who"])
            found = (who,) if who is not None and who.key not in own_keys else ()
        elif isinstance(fact, Membership):
            found = tuple(member.address for member in fact.members)
        yield from (address for address in found if address is not None and address.is_person)


def _state_subjects(facts: Iterable[Fact], contacts: ContactIndex) -> Iterator[str]:
    """Yield the `StateClock.subject` of each row for which the facts contain latest-state values."""
    for fact in facts:
        if isinstance(fact, InstanceState):
            yield "instance"
        elif isinstance(fact, ContactState):
            yield contact_subject(contacts.get(fact.address).pk)
        elif isinstance(fact, ConversationState):
            chat = fact.chat
            yield direct_subject(contacts.get(chat).pk) if chat.is_person else chat_subject(chat.jid)
