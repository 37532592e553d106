"""The conversations of a batch: found or made, named, and for groups with their participants."""

from collections.abc import Iterable

from django.db.models import F, Q

from conversations.evolution.facts import ContactState, ConversationState, Membership
from conversations.evolution.jid import Address
from conversations.ingest.apply.identity import ContactIndex
from conversations.ingest.apply.latest_state import LatestState
from conversations.ingest.apply.merge_contacts import membership_order
from conversations.ingest.apply.unit_of_work import UnitOfWork
from conversations.models import Contact, Conversation, Instance, Participant


class ConversationBatch:
    """The conversations that a batch touches, locked until its end."""

    def __init__(self, instance: Instance, people: ContactIndex) -> None:
        self._instance = instance
        self._people = people
        self._by_contact: dict[int, Conversation] = {}
        self._by_jid: dict[str, Conversation] = {}
        self.by_pk: dict[int, Conversation] = {}

    def load(self, addresses: Iterable[Address], contacts: Iterable[Contact], pks: Iterable[int]) -> None:
        """Load what is there: of these addresses, of these contacts, and these rows. Make what the addresses lack."""
        addresses, contacts, pks = set(addresses), set(contacts), set(pks)
        if not (addresses or contacts or pks):
            return
        persons = {
            self._people.get(address).pk: self._people.get(address) for address in addresses if address.is_person
        }
        jids = {address.jid: address for address in addresses if not address.is_person}
        wanted = Q(pk__in=pks) | Q(contact__in={*persons, *(contact.pk for contact in contacts)})
        if jids:
            wanted |= Q(jid__in=jids)
        rows = Conversation.objects.select_for_update(of=("self",), no_key=True)
        # All that is needed of the last message; to load it takes as long as the conversation does.
        rows = rows.annotate(last_key_id=F("last_message__key_id"))  # type: ignore[no-redef]  # declared, for others to read
        self._add(rows.filter(wanted, instance=self._instance).order_by("pk"))
        made = [
            Conversation(instance=self._instance, kind="direct", contact=contact, jid=contact.jid, name=contact.name)
            for pk, contact in persons.items()
            if pk not in self._by_contact
        ]
        made += [
            Conversation(instance=self._instance, kind=str(address.server), jid=jid)
            for jid, address in jids.items()
            if jid not in self._by_jid
        ]
        if made:
            self._add(Conversation.objects.bulk_create(made))

    def _add(self, rows: Iterable[Conversation]) -> None:
        for row in rows:
            self.by_pk[row.pk] = row
            if row.contact_id is None:
                self._by_jid[row.jid] = row
            else:
                self._by_contact[row.contact_id] = row

    def get(self, address: Address) -> Conversation:
        """Return the conversation that an address names."""
        if address.is_person:
            return self._by_contact[self._people.get(address).pk]
        return self._by_jid[address.jid]

    def for_contact(self, contact: Contact) -> Conversation | None:
        """Return the conversation with a contact, if there is one."""
        return self._by_contact.get(contact.pk)


def apply_contact_states(
    facts: Iterable[ContactState], people: ContactIndex, states: LatestState, changes: UnitOfWork
) -> set[Contact]:
    """Apply what is said of contacts; return those whose name or address their conversations must show anew."""
    shown = set(people.renamed)
    for fact in facts:
        contact = people.get(fact.address)
        if "name" in states.apply(contact, fact.values, fact.clock, changes):
            shown.add(contact)
    return shown


def apply_conversation_states(
    facts: Iterable[ConversationState], chats: ConversationBatch, states: LatestState, changes: UnitOfWork
) -> None:
    """Apply what is said of conversations."""
    for fact in facts:
        states.apply(chats.get(fact.chat), fact.values, fact.clock, changes)


def refresh_contact_names(contacts: Iterable[Contact], chats: ConversationBatch, changes: UnitOfWork) -> None:
    """Give the conversations of these contacts their name and address."""
    for contact in contacts:
        conversation = chats.for_contact(contact)
        if conversation is not None:
            changes.set(conversation, jid=contact.jid, name=contact.name)


def apply_memberships(
    facts: Iterable[Membership], chats: ConversationBatch, people: ContactIndex, changes: UnitOfWork
) -> None:
    """Apply what is said of groups' participants: of each the latest statement holds."""
    said: dict[tuple[int, int], Participant] = {}
    for fact in facts:
        conversation = chats.get(fact.chat)
        if fact.complete:
            changes.set(conversation, participants_as_of=max(conversation.participants_as_of, fact.clock))
        for member in fact.members:
            contact = people.get(member.address)
            row = Participant(
                conversation=conversation,
                contact=contact,
                role=member.role,
                is_present=member.is_present,
                clock=fact.clock,
            )
            key = (conversation.pk, contact.pk)
            if key not in said or membership_order(row) > membership_order(said[key]):
                said[key] = row
    if not said:
        return
    rows = Participant.objects.filter(
        conversation__in={conversation for conversation, _ in said}, contact__in={contact for _, contact in said}
    )
    for known in rows:
        row = said.pop((known.conversation_id, known.contact_id), known)
        if membership_order(row) > membership_order(known):
            changes.set(known, role=row.role, is_present=row.is_present, clock=row.clock)
    Participant.objects.bulk_create(said.values(), batch_size=500)
