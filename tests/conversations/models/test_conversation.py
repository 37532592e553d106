import datetime as dt
import time
from typing import Any

import pytest
from django.db import IntegrityError, connection
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries

from cachelayer.read import dependencies
from conversations.models import EPOCH, Contact, Conversation, Message, Participant
from conversations.models.conversation import NoSuchMessage
from tests.conversations.rows import NOON, a_chat, a_contact, a_group, a_message, an_instance

pytestmark = pytest.mark.django_db

UNKNOWN = 10**9
OPERATIONS = ["mark_read", "mark_unread", "increment_unread", "archive", "unarchive", "pin", "unpin"]


def at(minute: int) -> dt.datetime:
    return NOON + dt.timedelta(minutes=minute)


# --- lists ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("muted", [True, False])
def test_an_answer_with_a_list_by_mute_expires_within_a_minute(*, muted: bool) -> None:
    instance = an_instance()
    with dependencies.collecting() as collected:
        Conversation.objects.for_instance(instance)
        assert collected.expires_at > time.time() + 60
        Conversation.objects.for_instance(instance, muted=muted)
    assert collected.expires_at <= time.time() + 60


def test_lists_are_ordered_by_latest_message() -> None:
    one, two = an_instance(), an_instance()
    early, late = a_chat(one, last_message_at=at(1)), a_chat(one, last_message_at=at(3))
    elsewhere, without_messages = a_chat(two, last_message_at=at(2)), a_chat(one)
    assert Conversation.objects.for_instance(one).rows == [late, early, without_messages]
    assert Conversation.objects.for_instance(one.pk).rows == [late, early, without_messages]
    assert Conversation.objects.for_instance(None).rows == [late, elsewhere, early, without_messages]


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({}, "plain archived pinned unread group"),
        ({"archived": True}, "archived"),
        ({"archived": False}, "plain pinned unread group"),
        ({"pinned": True}, "pinned"),
        ({"pinned": False}, "plain archived unread group"),
        ({"unread": True}, "unread"),
        ({"unread": False}, "plain archived pinned group"),
        ({"deleted": True}, "deleted"),
        ({"deleted": None}, "plain archived pinned unread deleted group"),
        ({"kind": "group"}, "group"),
        ({"archived": False, "kind": "direct", "unread": False}, "plain pinned"),
    ],
)
def test_filters(filters: dict[str, Any], names: str) -> None:
    instance = an_instance()
    a_chat(instance, name="plain")
    a_chat(instance, name="archived", is_archived=True)
    a_chat(instance, name="pinned", is_pinned=True)
    a_chat(instance, name="unread", unread_count=2)
    a_chat(instance, name="deleted", is_deleted=True)
    a_group(instance, name="group")
    rows = Conversation.objects.for_instance(instance, **filters).rows
    assert {row.name for row in rows} == set(names.split())


def test_a_page_takes_one_query(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    instance = an_instance()
    a_chat(instance)
    with django_assert_num_queries(1):
        Conversation.objects.for_instance(instance, label="7", unread=False)


def test_participants_are_the_present_members_of_a_group_ordered_by_name() -> None:
    instance = an_instance()
    group = a_group(instance, participants_as_of="5")
    for name, clock, is_present in (("Caio", "5", True), ("Ana", "6", True), ("left", "6", False), ("gone", "4", True)):
        contact = a_contact(instance, name=name)
        Participant.objects.create(conversation=group, contact=contact, clock=clock, is_present=is_present)
    assert [member.contact.name for member in Participant.objects.shown(group)] == ["Ana", "Caio"]
    assert Participant.objects.shown(a_chat(instance)) == []


# --- writing ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("operation", "field", "value"),
    [
        ("archive", "is_archived", True),
        ("unarchive", "is_archived", False),
        ("pin", "is_pinned", True),
        ("unpin", "is_pinned", False),
    ],
)
def test_a_flag_is_stored_and_returned(operation: str, field: str, value: object) -> None:
    chat = a_chat(an_instance(), **{field: not value}, unread_count=3)
    row = getattr(Conversation.objects, operation)(chat.pk)
    stored = Conversation.objects.get(pk=chat.pk)
    assert getattr(row, field) is getattr(stored, field) is value
    assert row.updated_at == stored.updated_at > chat.updated_at
    assert stored.unread_count == 3


@pytest.mark.parametrize("operation", ["archive", "pin", "mark_read"])
def test_an_operation_without_effect_does_not_write_the_row(
    operation: str, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    chat = a_chat(an_instance(), is_archived=True, is_pinned=True)
    with django_assert_num_queries(3) as queries:
        getattr(Conversation.objects, operation)(chat.pk)
    assert [query["sql"].split()[0] for query in queries.captured_queries] == ["SAVEPOINT", "SELECT", "RELEASE"]


def test_mark_read_marks_up_to_the_last_message() -> None:
    chat = a_chat(an_instance(), last_message_at=at(5), unread_count=2)
    row = Conversation.objects.mark_read(chat.pk)
    stored = Conversation.objects.get(pk=chat.pk)
    for current in (row, stored):
        assert (current.unread_count, current.read_until, current.marked_read_until) == (0, at(5), at(5))


def test_mark_read_never_moves_backwards() -> None:
    chat = a_chat(an_instance(), last_message_at=at(5), read_until=at(9), marked_read_until=at(7), unread_count=1)
    row = Conversation.objects.mark_read(chat.pk)
    assert (row.unread_count, row.read_until, row.marked_read_until) == (0, at(9), at(7))


def test_mark_read_without_messages_moves_nothing() -> None:
    row = Conversation.objects.mark_read(a_chat(an_instance()).pk)
    assert (row.read_until, row.marked_read_until) == (EPOCH, EPOCH)


@pytest.mark.parametrize(
    ("until", "read_until", "unread_count"), [(1, 1, 2), (2, 2, 1), (3, 3, 0), (None, 3, 0)], ids=str
)
def test_mark_read_up_to_a_message(until: int | None, read_until: int, unread_count: int) -> None:
    chat = a_chat(an_instance())
    messages = [a_message(chat, timestamp=at(minute)) for minute in (1, 2, 3)]
    assert Conversation.objects.recount(chat.pk).unread_count == 3
    row = Conversation.objects.mark_read(chat.pk, messages[until - 1].pk if until else None)
    assert (row.unread_count, row.read_until, row.marked_read_until) == (unread_count, at(read_until), at(read_until))
    again = Conversation.objects.mark_read(chat.pk, messages[0].pk)
    assert (again.unread_count, again.read_until, again.updated_at) == (unread_count, at(read_until), row.updated_at)
    assert Conversation.objects.recount(chat.pk).unread_count == unread_count


def test_mark_read_takes_messages_of_the_conversation_only() -> None:
    instance = an_instance()
    chat, other = a_chat(instance), a_message(a_chat(instance))
    for pk in (other.pk, UNKNOWN):
        with pytest.raises(NoSuchMessage):
            Conversation.objects.mark_read(chat.pk, pk)


def test_a_conversation_that_is_marked_as_unread_counts_as_unread_until_it_is_marked_as_read() -> None:
    instance = an_instance()
    chat = a_chat(instance, read_until=at(1), last_message_at=at(2))
    row = Conversation.objects.mark_unread(chat.pk)
    assert (row.is_marked_unread, row.unread_count, row.unread_mark) == (True, 0, at(2))
    lists = [Conversation.objects.for_instance(instance, unread=unread).rows for unread in (True, False)]
    assert lists == [[chat], []]
    assert Conversation.objects.mark_unread(chat.pk).updated_at == row.updated_at
    assert not Conversation.objects.mark_read(chat.pk).is_marked_unread
    lists = [Conversation.objects.for_instance(instance, unread=unread).rows for unread in (True, False)]
    assert lists == [[], [chat]]
    assert Conversation.objects.mark_unread(chat.pk).is_marked_unread


def test_a_conversation_with_unread_messages_can_be_marked_and_a_later_mark_is_moved() -> None:
    chat = a_chat(an_instance(), unread_count=1, last_message_at=at(2))
    row = Conversation.objects.mark_unread(chat.pk)
    assert (row.is_marked_unread, row.unread_count, row.unread_mark) == (True, 1, at(2))
    Conversation.objects.filter(pk=chat.pk).update(last_message_at=at(3))
    assert Conversation.objects.mark_unread(chat.pk).unread_mark == at(3)


def test_an_empty_conversation_can_be_marked_as_unread() -> None:
    chat = a_chat(an_instance())
    assert Conversation.objects.mark_unread(chat.pk).is_marked_unread
    assert not Conversation.objects.mark_read(chat.pk).is_marked_unread


def test_increment_unread_adds_to_the_stored_count() -> None:
    chat = a_chat(an_instance())
    assert Conversation.objects.increment_unread(chat.pk).unread_count == 1
    assert Conversation.objects.increment_unread(chat.pk, by=4).unread_count == 5
    chat.refresh_from_db()
    assert chat.unread_count == 5


def test_the_unread_count_cannot_become_negative() -> None:
    chat = a_chat(an_instance())
    with pytest.raises(IntegrityError):
        Conversation.objects.increment_unread(chat.pk, by=-1)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_on_an_unknown_conversation_raises(operation: str) -> None:
    with pytest.raises(Conversation.DoesNotExist):
        getattr(Conversation.objects, operation)(UNKNOWN)


@pytest.mark.postgresql
@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_reads_its_row_with_a_lock(operation: str) -> None:
    chat = a_chat(an_instance(), is_archived=True)
    with CaptureQueriesContext(connection) as queries:
        getattr(Conversation.objects, operation)(chat.pk)
    selects = [query["sql"] for query in queries if "WHERE" in query["sql"] and query["sql"].startswith("SELECT")]
    assert selects[0].endswith('FOR NO KEY UPDATE OF "conversations_conversation"')


def test_delete_removes_the_messages_and_keeps_the_contact() -> None:
    chat = a_chat(an_instance())
    a_message(chat)
    assert Conversation.objects.delete(chat.pk)
    assert not Conversation.objects.delete(chat.pk)
    assert not Message.objects.exists()
    assert list(Contact.objects.all()) == [chat.contact]


# --- upsert -----------------------------------------------------------------------------------------------------------
def test_upsert_with_a_persons_address_creates_the_contact_too() -> None:
    instance = an_instance()
    chat, created = Conversation.objects.upsert(instance, "5511987654321@s.whatsapp.net", name="Bia")
    assert created
    assert chat.contact is not None
    assert (chat.kind, chat.name, chat.contact.phone) == ("direct", "Bia", "5511987654321")


def test_upsert_finds_the_conversation_by_the_other_form_of_the_number() -> None:
    instance = an_instance()
    chat, _ = Conversation.objects.upsert(instance, "5511987654321@s.whatsapp.net", name="Bia")
    same, created = Conversation.objects.upsert(instance, "551187654321@s.whatsapp.net", is_archived=True)
    assert (same, created) == (chat, False)
    chat.refresh_from_db()
    assert (chat.is_archived, chat.name, chat.jid) == (True, "Bia", "5511987654321@s.whatsapp.net")


@pytest.mark.parametrize(
    ("jid", "kind"),
    [
        ("120363041234567890@g.us", "group"),
        ("status@broadcast", "status"),
        ("1234@broadcast", "broadcast"),
        ("1234@newsletter", "newsletter"),
        ("1234@bot", "other"),
    ],
)
def test_upsert_derives_the_kind_from_the_address(jid: str, kind: str) -> None:
    instance = an_instance()
    chat, created = Conversation.objects.upsert(instance, jid, name="x")
    same, created_again = Conversation.objects.upsert(instance, jid, name="y")
    assert (chat.kind, chat.contact, created, created_again) == (kind, None, True, False)
    assert (same.pk, same.name) == (chat.pk, "y")


def test_upsert_without_an_address_raises() -> None:
    with pytest.raises(ValueError, match="not a JID"):
        Conversation.objects.upsert(an_instance(), "")
