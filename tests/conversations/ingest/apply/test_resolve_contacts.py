"""An address belongs to one contact; contacts whose addresses belong to one person are merged."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from django.db.models.signals import post_init

from conversations.evolution import jid
from conversations.evolution.facts import SamePerson
from conversations.evolution.jid import Address
from conversations.ingest.apply import address_batch
from conversations.ingest.apply.address_fields import address_fields
from conversations.ingest.apply.contact_index import ContactIndex
from conversations.ingest.apply.identities import Identities
from conversations.ingest.apply.merge_contacts import merge_contacts
from conversations.ingest.apply.resolve_contacts import resolve_contacts
from conversations.ingest.apply.unit_of_work import UnitOfWork
from conversations.models import Change, Contact, ContactAddress, Conversation, Instance, Message, Participant
from tests.conversations.rows import a_chat, a_group, a_message

PHONE, LID, SHORT_PHONE = "5521987654321@s.whatsapp.net", "204857316940182@lid", "552187654321@s.whatsapp.net"
OTHER = "5531991234567@s.whatsapp.net"


def address(text: str) -> Address:
    found = jid.parse(text)
    assert found is not None
    return found


# --- pure -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("jids", list(itertools.permutations([PHONE, LID, SHORT_PHONE])))
def test_a_contact_shows_its_phone_number_before_its_lid_and_the_long_form(jids: tuple[str, ...]) -> None:
    shown = {"jid": PHONE, "phone": "5521987654321", "lid": "204857316940182"}
    assert address_fields({one: {} for one in jids}) == shown


def test_a_contact_with_two_phone_numbers_shows_the_one_that_was_claimed_last() -> None:
    addresses = {PHONE: {LID: [5, 5]}, OTHER: {LID: [9, 9]}, LID: {}}
    assert address_fields(addresses)["jid"] == OTHER


def test_a_contact_without_a_phone_number_shows_its_lid() -> None:
    assert address_fields({LID: {}}) == {"jid": LID, "phone": "", "lid": "204857316940182"}


# --- resolving --------------------------------------------------------------------------------------------------------
@pytest.fixture
def instance(db: None) -> Instance:  # noqa: ARG001 - the fixture "db" enables database access
    return Instance.objects.create(name="sales")


def resolve(
    instance: Instance, *jids: str, aliases: tuple[tuple[str, str], ...] = (), lookup_keys: tuple[str, ...] = ()
) -> ContactIndex:
    changes = UnitOfWork()
    pairs = [SamePerson(address(phone), address(lid)) for phone, lid in aliases]
    index = resolve_contacts(instance, map(address, jids), Identities(pairs=pairs), lookup_keys, changes)
    changes.save()
    return index


def shown() -> list[tuple[str, str, str]]:
    return list(Contact.objects.order_by("pk").values_list("jid", "phone", "lid"))


def test_a_new_address_gets_a_contact(instance: Instance) -> None:
    index = resolve(instance, PHONE)
    assert shown() == [(PHONE, "5521987654321", "")]
    assert index.get(address(PHONE)) == Contact.objects.get()
    assert (index.new_keys, index.renamed) == (set(), set())


def test_a_known_address_keeps_its_contact(instance: Instance) -> None:
    first, second = resolve(instance, PHONE), resolve(instance, PHONE)
    assert second.get(address(PHONE)) == first.get(address(PHONE))
    assert Contact.objects.count() == ContactAddress.objects.count() == 1


def test_both_forms_of_a_phone_number_are_one_address_and_the_longer_form_is_shown(instance: Instance) -> None:
    resolve(instance, SHORT_PHONE)
    assert shown() == [(SHORT_PHONE, "552187654321", "")]
    index = resolve(instance, PHONE)
    assert shown() == [(PHONE, "5521987654321", "")]
    assert index.renamed == {Contact.objects.get()}
    resolve(instance, SHORT_PHONE)
    assert shown() == [(PHONE, "5521987654321", "")]


def test_two_new_addresses_of_one_person_get_one_contact(instance: Instance) -> None:
    index = resolve(instance, aliases=((PHONE, LID),))
    assert shown() == [(PHONE, "5521987654321", "204857316940182")]
    assert index.get(address(LID)) is index.get(address(PHONE))


def test_a_new_address_of_a_known_person_is_added_to_the_contact(instance: Instance) -> None:
    resolve(instance, LID)
    index = resolve(instance, aliases=((PHONE, LID),))
    assert shown() == [(PHONE, "5521987654321", "204857316940182")]
    assert index.new_keys == {address(PHONE).key}
    assert index.renamed == {Contact.objects.get()}


def test_contacts_that_turn_out_to_be_one_person_are_merged_into_the_older_one(instance: Instance) -> None:
    older = resolve(instance, LID).get(address(LID))
    resolve(instance, PHONE)
    index = resolve(instance, aliases=((PHONE, LID),))
    assert Contact.objects.get() == older == index.get(address(PHONE)) == index.get(address(LID))
    assert shown() == [(PHONE, "5521987654321", "204857316940182")]
    assert index.new_keys == {address(PHONE).key, address(LID).key}


STATEMENT = {"emoji": "👍", "options": [], "who": "x", "at": 1}
ROWS: dict[str, Callable[[Conversation, Contact], object]] = {
    "messages": lambda group, contact: a_message(group, sender=contact),
    "conversation": lambda group, contact: a_message(a_chat(group.instance, contact=contact)),
    "memberships": lambda group, contact: Participant.objects.create(conversation=group, contact=contact, clock="1"),
    "reactions": lambda group, contact: a_message(group, reactions={str(contact.pk): STATEMENT}),
    "votes": lambda group, contact: a_message(group, poll_results={str(contact.pk): STATEMENT}),
}


@pytest.mark.parametrize("create", ROWS.values(), ids=list(ROWS))
def test_a_contact_with_many_rows_is_kept_however_often_older_contacts_are_merged_with_it(
    instance: Instance, create: Callable[[Conversation, Contact], object]
) -> None:
    """Else each merge would write all of its rows; the change log has a line for each row that a merge writes."""
    phones = [f"55219876543{n:02}@s.whatsapp.net" for n in range(5)]
    for phone in phones:
        resolve(instance, phone)
    contact = resolve(instance, LID).get(address(LID))
    create(a_group(instance), contact)
    Change.objects.all().delete()
    for phone in reversed(phones):
        resolve(instance, aliases=((phone, LID),))
    assert Contact.objects.get() == contact
    assert not Change.objects.filter(resource__in=["message", "participants"]).exists()


def test_of_several_contacts_in_one_batch_the_one_with_the_most_rows_is_kept(instance: Instance) -> None:
    contacts = [resolve(instance, jid).get(address(jid)) for jid in (PHONE, OTHER, LID)]
    group = a_group(instance)
    for contact, count in zip(contacts, (1, 2, 0), strict=True):
        for _ in range(count):
            a_message(group, sender=contact)
    Change.objects.all().delete()
    index = resolve(instance, aliases=((PHONE, LID), (OTHER, LID)))
    assert {contact.pk for contact in index.contacts.values()} == {contacts[1].pk}
    assert Message.objects.filter(sender=contacts[1]).count() == 3
    assert Change.objects.filter(resource="message").count() == 1


def test_merging_loads_the_memberships_of_the_contact_with_fewer(instance: Instance) -> None:
    contact = resolve(instance, LID).get(address(LID))
    other = resolve(instance, PHONE).get(address(PHONE))
    groups = [a_group(instance) for _ in range(5)]
    for group in groups:
        Participant.objects.create(conversation=group, contact=contact, clock="1")
    Participant.objects.create(conversation=groups[0], contact=other, clock="2")
    loaded: list[int] = []

    def record(instance: Participant, **_: object) -> None:
        loaded.append(instance.conversation_id)

    post_init.connect(record, sender=Participant)
    try:
        resolve(instance, aliases=((PHONE, LID),))
    finally:
        post_init.disconnect(record, sender=Participant)
    assert loaded == [groups[0].pk] * 2
    assert list(Participant.objects.filter(clock="2").values_list("contact", "conversation")) == [
        (contact.pk, groups[0].pk)
    ]


def test_aliases_in_one_batch_are_transitive(instance: Instance) -> None:
    resolve(instance, aliases=((PHONE, LID), (OTHER, LID)))
    assert Contact.objects.count() == 1
    assert ContactAddress.objects.count() == 3


def test_a_lookup_creates_no_contact(instance: Instance) -> None:
    assert resolve(instance, lookup_keys=(address(PHONE).key,)).contacts == {}
    assert not Contact.objects.exists()
    resolve(instance, PHONE)
    assert resolve(instance, lookup_keys=(address(PHONE).key,)).contacts == {address(PHONE).key: Contact.objects.get()}


def test_the_same_address_in_two_instances_is_two_contacts(instance: Instance) -> None:
    resolve(instance, PHONE)
    resolve(Instance.objects.create(name="support"), PHONE)
    assert Contact.objects.count() == 2


def test_many_addresses_are_looked_up_in_several_queries(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address_batch, "MAX_QUERY_KEYS", 2)
    jids = [f"55219876543{n:02}@s.whatsapp.net" for n in range(5)]
    resolve(instance, *jids)
    resolve(instance, *jids)
    assert Contact.objects.count() == 5


# --- merging contacts -------------------------------------------------------------------------------------------------
class Pair:
    """Two contacts of one instance, of which a test merges the second into the first."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.kept = Contact.objects.create(instance=instance, jid=PHONE)
        self.removed = Contact.objects.create(instance=instance, jid=LID)

    def chat(self, contact: Contact, **values: Any) -> Conversation:
        return Conversation.objects.create(
            instance=self.instance, kind="direct", contact=contact, jid=contact.jid, **values
        )

    def message(self, conversation: Conversation, key_id: str, **values: Any) -> Message:
        defaults: dict[str, Any] = {
            "from_me": False,
            "timestamp": "2026-01-01T12:00:00Z",
            "kind": "text",
            "precedence": key_id,
        }
        return Message.objects.create(
            instance=self.instance, conversation=conversation, key_id=key_id, **defaults | values
        )

    def merge(self) -> None:
        merge_contacts(self.instance, [(self.kept, self.removed)])
        assert Contact.objects.get() == self.kept


@pytest.fixture
def pair(instance: Instance) -> Pair:
    return Pair(instance)


def test_a_merged_contact_keeps_the_addresses_and_messages_of_both(pair: Pair) -> None:
    ContactAddress.objects.create(instance=pair.instance, key="lid:1", jid=LID, contact=pair.removed)
    group = Conversation.objects.create(instance=pair.instance, kind="group", jid="7@g.us")
    pair.message(group, "M1", sender=pair.removed)
    pair.merge()
    assert ContactAddress.objects.get().contact == Message.objects.get().sender == pair.kept


def test_the_only_conversation_of_two_contacts_goes_to_the_kept_contact(pair: Pair) -> None:
    chat = pair.chat(pair.removed)
    pair.merge()
    assert Conversation.objects.get() == chat
    assert Conversation.objects.get().contact == pair.kept


def test_two_conversations_become_one_with_the_messages_of_both(pair: Pair) -> None:
    kept_chat, removed_chat = pair.chat(pair.kept), pair.chat(pair.removed)
    pair.message(kept_chat, "M1")
    pair.message(removed_chat, "M2")
    pair.merge()
    chat = Conversation.objects.get()
    assert (chat, chat.unread_count) == (kept_chat, 2)
    assert set(chat.messages.values_list("key_id", flat=True)) == {"M1", "M2"}


def test_a_message_of_both_conversations_becomes_one_row_by_the_merge_rules(pair: Pair) -> None:
    pair.message(pair.chat(pair.kept), "M1", status=Message.Status.SENT, text="worse", precedence="2")
    pair.message(pair.chat(pair.removed), "M1", status=Message.Status.READ, text="better", precedence="1")
    pair.merge()
    row = Message.objects.get()
    assert (row.status, row.text) == (Message.Status.READ, "better")


def test_messages_with_one_key_id_from_both_sides_stay_two(pair: Pair) -> None:
    pair.message(pair.chat(pair.kept), "M1", from_me=True)
    pair.message(pair.chat(pair.removed), "M1", from_me=False)
    pair.merge()
    assert Message.objects.count() == 2


@pytest.mark.parametrize(
    ("field", "flags", "expected"),
    [
        ("is_archived", (True, False), True),
        ("is_archived", (False, True), True),
        ("is_archived", (False, False), False),
        ("is_pinned", (True, False), True),
        ("is_pinned", (False, True), True),
        ("is_pinned", (False, False), False),
    ],
)
def test_a_merged_conversation_is_archived_or_pinned_if_one_half_was(
    pair: Pair,
    field: str,
    flags: tuple[bool, bool],
    expected: bool,  # noqa: FBT001 - pytest passes the argument by keyword
) -> None:
    for contact, flag in zip((pair.kept, pair.removed), flags, strict=True):
        pair.chat(contact, **{field: flag})
    pair.merge()
    assert getattr(Conversation.objects.get(), field) is expected


@pytest.mark.parametrize("field", ["muted_until", "marked_read_until"])
@pytest.mark.parametrize("years", [(2026, 2027), (2027, 2026)])
def test_a_merged_conversation_keeps_the_later_end_of_muting_and_of_reading(
    pair: Pair, field: str, years: tuple[int, int]
) -> None:
    for contact, year in zip((pair.kept, pair.removed), years, strict=True):
        pair.chat(contact, **{field: f"{year}-01-01T00:00:00Z"})
    pair.merge()
    assert getattr(Conversation.objects.get(), field).year == 2027


def test_a_membership_of_the_removed_contact_goes_to_the_kept_one(pair: Pair) -> None:
    group = Conversation.objects.create(instance=pair.instance, kind="group", jid="7@g.us")
    Participant.objects.create(conversation=group, contact=pair.removed, role="admin", is_present=True, clock="1")
    pair.merge()
    assert Participant.objects.get().contact == pair.kept


@pytest.mark.parametrize("clocks", [("1", "2"), ("2", "1")])
def test_of_two_memberships_in_one_group_the_later_one_is_kept(pair: Pair, clocks: tuple[str, str]) -> None:
    group = Conversation.objects.create(instance=pair.instance, kind="group", jid="7@g.us")
    for contact, clock in zip((pair.kept, pair.removed), clocks, strict=True):
        Participant.objects.create(
            conversation=group, contact=contact, role=f"role {clock}", is_present=True, clock=clock
        )
    pair.merge()
    row = Participant.objects.get()
    assert (row.contact, row.role, row.clock) == (pair.kept, "role 2", "2")
