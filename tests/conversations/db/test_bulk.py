"""Bulk writes store the same values in each row as `save` would store, and change no other row."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

import pytest
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from conversations.db.bulk import new_row
from conversations.models import Contact, Conversation, Message
from tests.conversations.rows import NOON, a_contact, a_group, a_message, an_instance

pytestmark = pytest.mark.django_db(transaction=True)
FIELDS = ("sender", "status", "text", "edited_at", "is_deleted", "reactions", "updated_at")
ALL_FIELDS = (*FIELDS, "details", "kind", "from_me", "timestamp", "media", "original_text")


@pytest.fixture
def chat() -> Conversation:
    return a_group(an_instance())


def change(row: Message, sender: Contact | None) -> Message:
    row.sender, row.status, row.is_deleted = sender, Message.Status.READ, True
    row.text, row.reactions = "50 % 'off' 👍", {"5511@s.whatsapp.net": {"emoji": "❤", "at": 2**40}}
    row.edited_at = NOON + dt.timedelta(microseconds=1)
    row.key_id = "not among the fields"
    return row


def new_message(chat: Conversation, key_id: str, sender: Contact | None) -> Message:
    row = change(Message(instance=chat.instance, conversation=chat, from_me=False, kind=Message.Kind.TEXT), sender)
    row.key_id, row.timestamp = key_id, NOON
    row.details = {"caption": '\u2028 \\ "', "count": 2**60, "none": None}
    return row


def values(row: Message, names: Sequence[str] = FIELDS) -> dict[str, object]:
    return {name: getattr(row, name) for name in names if name != "updated_at"}


def raw_values(row: Message) -> tuple[object, ...]:
    """Return columns as the database stores them, because conditions compare stored values."""
    with connection.cursor() as cursor:
        columns = "timestamp, edited_at, from_me, sender_id, status, media, details, reactions, original_text"
        cursor.execute(f"SELECT {columns} FROM conversations_message WHERE id = %s", [row.pk])  # noqa: S608 - names
        return tuple(cursor.fetchone())


def test_fast_bulk_update_stores_what_save_stores(chat: Conversation) -> None:
    saved, one, other, bystander = (a_message(chat) for _ in range(4))
    sender = a_contact(chat.instance)
    before, unchanged = one.updated_at, Message.objects.get(pk=bystander.pk)
    change(saved, sender).save(update_fields=FIELDS)
    Message.objects.fast_bulk_update([change(one, sender), change(other, None)], FIELDS)
    saved, one, other = (Message.objects.get(pk=row.pk) for row in (saved, one, other))
    assert values(one) == values(saved)
    assert raw_values(one)[1:] == raw_values(saved)[1:]
    assert (other.sender_id, other.text) == (None, saved.text)
    assert one.updated_at > before
    assert one.key_id != "not among the fields"
    assert vars(Message.objects.get(pk=bystander.pk)) | {"_state": None} == vars(unchanged) | {"_state": None}


def test_fast_bulk_create_stores_what_bulk_create_stores(chat: Conversation) -> None:
    sender = a_contact(chat.instance)
    expected, created = [[new_message(chat, f"{name}{n}", sender) for n in range(3)] for name in ("a", "b")]
    Message.objects.bulk_create(expected)
    before = timezone.now()
    Message.objects.fast_bulk_create(created)
    for one, row in zip(expected, created, strict=True):
        stored = Message.objects.get(pk=row.pk)
        assert stored.key_id == row.key_id
        assert values(stored, ALL_FIELDS) == values(Message.objects.get(pk=one.pk), ALL_FIELDS)
        assert stored.updated_at == row.updated_at >= before
        assert raw_values(row) == raw_values(one)
        assert (row._state.adding, row._state.db) == (False, "default")  # noqa: SLF001 - Model.save reads _state
    created[0].save()
    assert Message.objects.count() == 6


def test_a_new_row_is_what_django_makes_of_the_same_values(chat: Conversation) -> None:
    given = {"conversation_id": chat.pk, "key_id": "a", "timestamp": NOON, "created_at": NOON, "media": {"id": "b"}}
    row, expected = new_row(Message, given), Message(**given)
    assert vars(row) | {"_state": None} == vars(expected) | {"_state": None}
    assert row.details is not new_row(Message, given).details


def test_an_empty_list_writes_nothing(chat: Conversation) -> None:
    with CaptureQueriesContext(connection) as queries:
        Message.objects.fast_bulk_create([])
        Message.objects.fast_bulk_update([], ["text"])
    assert not [query["sql"] for query in queries if "conversations_message" in query["sql"]]
    assert chat.messages.count() == 0


def test_a_value_that_json_cannot_encode_is_rejected(chat: Conversation) -> None:
    for value in (b"bytes", NOON):
        row = new_message(chat, "a", None)
        row.details = {"raw": value}
        with pytest.raises(TypeError, match="not JSON serializable"):
            Message.objects.fast_bulk_create([row])


def test_the_encoder_of_a_json_field_is_used(chat: Conversation, monkeypatch: Any) -> None:
    field = Message._meta.get_field("details")  # noqa: SLF001 - Django documents the attribute _meta
    monkeypatch.setattr(field, "encoder", DjangoJSONEncoder)
    monkeypatch.setattr(field, "decoder", None)
    row = new_message(chat, "a", None)
    row.details = {"at": NOON}
    Message.objects.fast_bulk_create([row])
    assert Message.objects.get(pk=row.pk).details == {"at": "2026-03-01T12:00:00Z"}
    row.details = {"at": NOON + dt.timedelta(hours=1)}
    Message.objects.fast_bulk_update([row], ["details"])
    assert Message.objects.get(pk=row.pk).details == {"at": "2026-03-01T13:00:00Z"}


def test_a_primary_key_that_is_set_is_kept(chat: Conversation) -> None:
    row = new_message(chat, "a", None)
    row.pk = 10**9
    Message.objects.fast_bulk_create([row])
    assert Message.objects.get(pk=10**9).key_id == "a"


@pytest.mark.parametrize("number", [2, 20])
def test_any_number_of_rows_takes_one_statement(chat: Conversation, number: int) -> None:
    with CaptureQueriesContext(connection) as queries:
        rows = [new_message(chat, f"{n}", None) for n in range(number)]
        Message.objects.fast_bulk_create(rows)
        Message.objects.fast_bulk_update(rows, ["text"])
    inserted, updated = [query["sql"] for query in queries if "conversations_message" in query["sql"]]
    assert inserted.startswith("INSERT")
    assert updated.startswith("UPDATE")
