"""Finds or creates the conversations of a batch, and updates their names, latest-state values and participants."""

import functools
import operator
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from django.db.models import F, Q

from conversations.evolution.facts import ContactState, ConversationState, Membership
from conversations.evolution.jid import Address
from conversations.ingest.apply.contact_index import ContactIndex
from conversations.ingest.apply.latest_state import LatestState
from conversations.ingest.apply.merge_rules import membership_order
from conversations.ingest.apply.unit_of_work import UnitOfWork
from conversations.models import Contact, Conversation, Instance, Participant

GROUPS_PER_QUERY = 100  # SQLite limits the depth of a condition
NAMES = frozenset({"saved_name", "push_name"})


class Chat(NamedTuple):
    """The address of a chat at a time in milliseconds since the epoch; None stands for now."""

    address: Address
    ms: int | None = None


class ConversationBatch:
    """The conversations of a batch, locked until the transaction ends."""

    def __init__(self, instance: Instance, contacts: ContactIndex) -> None:
        self._instance = instance
        self._contacts = contacts
        self._by_contact: dict[int, Conversation] = {}
        self._by_jid: dict[str, Conversation] = {}
        self.by_pk: dict[int, Conversation] = {}

    def load(self, chats: Iterable[Chat], contacts: Iterable[Contact], pks: Iterable[int]) -> None:
        """Load and lock the conversations of chats and contacts, and those with one of the primary keys.

        A conversation that does not exist is created if `chats` contains it.
        """
        chats, contacts, pks = set(chats), set(contacts), set(pks)
        if not (chats or contacts or pks):
            return
        direct_contacts = (self._contacts.get(chat.address, chat.ms) for chat in chats if chat.address.is_person)
        direct = {contact.pk: contact for contact in direct_contacts}
        others = {chat.address.jid: chat.address for chat in chats if not chat.address.is_person}
        wanted = Q(pk__in=pks) | Q(contact__in={*direct, *(contact.pk for contact in contacts)})
        if others:
            wanted |= Q(jid__in=others)
        rows = Conversation.objects.select_for_update(of=("self",), no_key=True)
        # Only the sort key of the last message is loaded, because loading all its fields would double the query's time.
        rows = rows.annotate(
            last_key_id=F("last_message__key_id"),  # type: ignore[no-redef]  # the names are declared
            last_sent_order=F("last_message__sent_order"),
        )
        self._add(rows.filter(wanted, instance=self._instance).order_by("pk"))
        new = [
            Conversation(instance=self._instance, kind="direct", contact=contact, **contact.shared_fields)
            for pk, contact in direct.items()
            if pk not in self._by_contact
        ]
        new += [
            Conversation(instance=self._instance, kind=str(address.kind), jid=jid)
            for jid, address in others.items()
            if jid not in self._by_jid
        ]
        if new:
            self._add(Conversation.objects.bulk_create(new))

    def _add(self, rows: Iterable[Conversation]) -> None:
        for row in rows:
            self.by_pk[row.pk] = row
            if row.contact_id is None:
                self._by_jid[row.jid] = row
            else:
                self._by_contact[row.contact_id] = row

    def get(self, address: Address, ms: int | None = None) -> Conversation:
        """Return the conversation to which an address belonged at a time; None stands for now."""
        if address.is_person:
            return self._by_contact[self._contacts.get(address, ms).pk]
        return self._by_jid[address.jid]

    def for_contact(self, contact: Contact) -> Conversation | None:
        """Return the direct conversation with a contact, or None."""
        return self._by_contact.get(contact.pk)


def apply_contact_states(
    facts: Iterable[ContactState],
    contacts: ContactIndex,
    states: LatestState,
    namesakes: Iterable[Contact],
    changes: UnitOfWork,
) -> set[Contact]:
    """Update contacts from parsed facts, where a fact is newer; return the contacts whose name or address changed.

    `namesakes` are contacts whose name turned out to be a name of the instance.
    """
    touched = set(namesakes)
    for fact in facts:
        contact = contacts.get(fact.address)
        if states.apply(contact, fact.values, fact.clock, changes) & NAMES:
            touched.add(contact)
    renamed = {contact for contact in touched if changes.set(contact, name=states.shown_name(contact))}
    return renamed | contacts.renamed


def apply_conversation_states(
    facts: Iterable[ConversationState], conversations: ConversationBatch, states: LatestState, changes: UnitOfWork
) -> None:
    """Update conversations from parsed facts, where a fact is newer than the stored value."""
    for fact in facts:
        states.apply(conversations.get(fact.chat), fact.values, fact.clock, changes)


def refresh_contact_names(contacts: Iterable[Contact], conversations: ConversationBatch, changes: UnitOfWork) -> None:
    """Copy the contacts' names and JIDs to their direct conversations."""
    for contact in contacts:
        conversation = conversations.for_contact(contact)
        if conversation is not None:
            changes.set(conversation, **contact.shared_fields)


def apply_memberships(
    facts: Iterable[Membership], conversations: ConversationBatch, contacts: ContactIndex, changes: UnitOfWork
) -> None:
    """Write the participants of groups; for each participant the latest membership wins (see `membership_order`)."""
    latest: dict[tuple[int, int], Participant] = {}
    for fact in facts:
        conversation = conversations.get(fact.chat)
        if fact.complete:
            changes.set(conversation, participants_as_of=max(conversation.participants_as_of, fact.clock))
        for member in fact.members:
            contact = contacts.get(member.address)
            row = Participant(
                conversation=conversation,
                contact=contact,
                role=member.role,
                is_present=member.is_present,
                clock=fact.clock,
            )
            key = (conversation.pk, contact.pk)
            if key not in latest or membership_order(row) > membership_order(latest[key]):
                latest[key] = row
    if not latest:
        return
    for existing in _participants(latest):
        row = latest.pop((existing.conversation_id, existing.contact_id), existing)
        if membership_order(row) > membership_order(existing):
            changes.set(existing, role=row.role, is_present=row.is_present, clock=row.clock)
    Participant.objects.bulk_create(latest.values(), batch_size=500)


def _participants(pairs: Iterable[tuple[int, int]]) -> Iterator[Participant]:
    """Yield the stored participants with these pairs of a conversation and a contact.

    The same persons may be in many groups, so these are fewer than the participants with any of both.
    """
    members: defaultdict[int, list[int]] = defaultdict(list)
    for conversation, contact in pairs:
        members[conversation].append(contact)
    conditions = [Q(conversation=pk, contact__any_of=contacts) for pk, contacts in members.items()]
    for start in range(0, len(conditions), GROUPS_PER_QUERY):
        is_named = functools.reduce(operator.or_, conditions[start : start + GROUPS_PER_QUERY])
        yield from Participant.objects.filter(is_named)
