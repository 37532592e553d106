"""Applies facts: loads the rows they are about, joins, writes what differs. One transaction, one lock an instance.

Everything an instance's events write happens under that lock, so that two batches never decide from the same old row;
instances do not wait for one another.
"""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from django.db import transaction

from cachelayer import cache, tags_for
from conversations.evolution.facts import (
    ContactState,
    ConversationState,
    Fact,
    InstanceState,
    Membership,
    MessageCopy,
    MessageUpdate,
    SamePerson,
)
from conversations.evolution.jid import Address
from conversations.ingest.apply import summaries
from conversations.ingest.apply.conversations import (
    ConversationBatch,
    apply_contact_states,
    apply_conversation_states,
    apply_memberships,
    refresh_contact_names,
)
from conversations.ingest.apply.identity import ContactIndex, resolve_contacts
from conversations.ingest.apply.latest_state import LatestState, chat_subject, contact_subject, direct_subject
from conversations.ingest.apply.messages import MessageBatch, pending_for_contacts, pending_for_keys
from conversations.ingest.apply.unit_of_work import UnitOfWork
from conversations.models import Instance

BATCH = 2500  # facts; a history import brings thousands in one body
F = TypeVar("F")


def apply(instance: Instance, facts: Iterable[Fact]) -> None:
    """Apply facts of one instance, in one transaction; where they are cut into batches makes no difference."""
    facts = list(facts)
    if not facts:
        return
    with transaction.atomic():
        row = Instance.objects.lock(instance.pk)
        for start in range(0, len(facts), BATCH):
            _apply(row, facts[start : start + BATCH])


def _apply(instance: Instance, facts: list[Fact]) -> None:
    changes = UnitOfWork()
    seen, updates = _of(MessageCopy, facts), _of(MessageUpdate, facts)
    memberships = _of(Membership, facts)
    of_contacts, of_chats = _of(ContactState, facts), _of(ConversationState, facts)
    key_ids = {fact.key_id for fact in seen} | {update.key_id for update in updates}
    parked = pending_for_keys(instance, key_ids)
    mentioned = {key for update in updates for key in (update.chat, update.subject)}
    mentioned |= {key for update in parked for key in (update.chat, update.subject)}
    people = resolve_contacts(instance, _persons(facts), _of(SamePerson, facts), mentioned, changes)
    states = LatestState(instance, _subjects(facts, people))
    for fact in _of(InstanceState, facts):
        states.apply(instance, fact.values, fact.clock, changes)
    shown = apply_contact_states(of_contacts, people, states, changes)
    parked += pending_for_contacts(instance, people.new_keys)
    messages = MessageBatch(instance, key_ids, parked, people, changes)
    chats = ConversationBatch(instance, people)
    addresses = {*_chats(seen), *_chats(of_chats), *_chats(memberships)}
    chats.load(addresses, shown, messages.conversations)
    refresh_contact_names(shown, chats, changes)
    apply_conversation_states(of_chats, chats, states, changes)
    apply_memberships(memberships, chats, people, changes)
    for copy in seen:
        messages.add_copy(copy, chats.get(copy.chat))
    messages.apply_updates(updates, chats.by_pk)
    touched = messages.changes()
    chats_touched = [chats.by_pk[pk] for pk in touched]
    new = [row for what in touched.values() for row in what.new]
    # All at once, for each announcement is a round trip.
    cache.touch(*tags_for([*new, *chats_touched, *changes.rows]))
    messages.save()
    changes.save()
    for pk, what in touched.items():
        summaries.update_summary(chats.by_pk[pk], what, changes)
    changes.save()
    states.save()


def _of(kind: type[F], facts: Iterable[object]) -> list[F]:
    return [fact for fact in facts if isinstance(fact, kind)]


def _chats(facts: Iterable[MessageCopy | ConversationState | Membership]) -> Iterator[Address]:
    return (fact.chat for fact in facts)


def _persons(facts: Iterable[Fact]) -> Iterator[Address]:
    """The people that facts speak of."""
    for fact in facts:
        found: tuple[Address | None, ...] = ()
        if isinstance(fact, ContactState):
            found = (fact.address,)
        elif isinstance(fact, MessageCopy):
            found = (fact.chat, fact.sender)
        elif isinstance(fact, ConversationState):
            found = (fact.chat,)
        elif isinstance(fact, Membership):
            found = tuple(member.address for member in fact.members)
        yield from (address for address in found if address is not None and address.is_person)


def _subjects(facts: Iterable[Fact], people: ContactIndex) -> Iterator[str]:
    """The names of the rows whose latest values facts carry."""
    for fact in facts:
        if isinstance(fact, InstanceState):
            yield "instance"
        elif isinstance(fact, ContactState):
            yield contact_subject(people.get(fact.address).pk)
        elif isinstance(fact, ConversationState):
            chat = fact.chat
            yield direct_subject(people.get(chat).pk) if chat.is_person else chat_subject(chat.jid)
