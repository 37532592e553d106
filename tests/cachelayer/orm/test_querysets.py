"""Rows that are saved together: they are what `save` would have made of each, and nobody else's are."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

import pytest
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from conversations.models import Contact, Conversation, Message
from tests.conversations.rows import NOON, a_contact, a_group, a_message, an_instance

pytestmark = pytest.mark.django_db(transaction=True)
FIELDS = ("sender", "status", "text", "edited_at", "is_deleted", "reactions", "updated_at")
WRITTEN = (*FIELDS, "details", "kind", "from_me", "timestamp", "media", "original_text")


@pytest.fixture
def chat() -> Conversation:
    return a_group(an_instance())


def changed(row: Message, sender: Contact | None) -> Message:
    row.sender, row.status, row.is_deleted = sender, Message.Status.READ, True
    row.text, row.reactions = "50 % 'off' 👍", {"5511@s.whatsapp.net": {"emoji": "❤", "at": 2**40}}
    row.edited_at = NOON + dt.timedelta(microseconds=1)
    row.key_id = "not among the fields"
    return row


def values(row: Message, names: Sequence[str] = FIELDS) -> dict[str, object]:
    return {name: getattr(row, name) for name in names if name != "updated_at"}


def test_they_are_what_each_would_be_by_itself(chat: Conversation) -> None:
    alone, one, other, bystander = (a_message(chat) for _ in range(4))
    sender = a_contact(chat.instance)
    before, kept = one.updated_at, Message.objects.get(pk=bystander.pk)
    changed(alone, sender).save(update_fields=FIELDS)
    Message.objects.fast_bulk_update([changed(one, sender), changed(other, None)], FIELDS)
    alone, one, other = (Message.objects.get(pk=row.pk) for row in (alone, one, other))
    assert values(one) == values(alone)
    assert (other.sender_id, other.text) == (None, alone.text)
    assert one.updated_at > before
    assert one.key_id != "not among the fields"
    assert vars(Message.objects.get(pk=bystander.pk)) | {"_state": None} == vars(kept) | {"_state": None}


def test_new_rows_are_what_bulk_create_would_have_made(chat: Conversation) -> None:
    sender = a_contact(chat.instance)
    alike, other = [[_new(chat, f"{make}{n}", sender) for n in range(3)] for make in ("a", "b")]
    Message.objects.bulk_create(alike)
    before = timezone.now()
    Message.objects.fast_bulk_create(other)
    for one, row in zip(alike, other, strict=True):
        found = Message.objects.get(pk=row.pk)
        assert found.key_id == row.key_id
        assert values(found, WRITTEN) == values(Message.objects.get(pk=one.pk), WRITTEN)
        assert found.updated_at == row.updated_at >= before
        assert (row._state.adding, row._state.db) == (False, "default")  # noqa: SLF001 - what `save` goes by
    other[0].save()
    assert Message.objects.count() == 6


def test_none_is_nothing_to_do(chat: Conversation) -> None:
    with CaptureQueriesContext(connection) as queries:
        Message.objects.fast_bulk_create([])
        Message.objects.fast_bulk_update([], ["text"])
    assert not [query["sql"] for query in queries if "conversations_message" in query["sql"]]
    assert chat.messages.count() == 0


def test_a_value_that_json_has_no_form_for_is_refused(chat: Conversation) -> None:
    for value in (b"bytes", NOON):
        row = _new(chat, "a", None)
        row.details = {"raw": value}
        with pytest.raises(TypeError, match="not JSON serializable"):
            Message.objects.fast_bulk_create([row])


def test_a_field_that_says_its_values_in_its_own_way_is_asked(chat: Conversation, monkeypatch: Any) -> None:
    field = Message._meta.get_field("details")  # noqa: SLF001 - Django's documented way to a field
    monkeypatch.setattr(field, "encoder", DjangoJSONEncoder)
    monkeypatch.setattr(field, "decoder", None)
    row = _new(chat, "a", None)
    row.details = {"at": NOON}
    Message.objects.fast_bulk_create([row])
    assert Message.objects.get(pk=row.pk).details == {"at": "2026-03-01T12:00:00Z"}
    row.details = {"at": NOON + dt.timedelta(hours=1)}
    Message.objects.fast_bulk_update([row], ["details"])
    assert Message.objects.get(pk=row.pk).details == {"at": "2026-03-01T13:00:00Z"}


def test_a_key_that_was_given_is_kept(chat: Conversation) -> None:
    row = _new(chat, "a", None)
    row.pk = 10**9
    Message.objects.fast_bulk_create([row])
    assert Message.objects.get(pk=10**9).key_id == "a"


@pytest.mark.parametrize("many", [2, 20])
def test_it_is_one_statement_for_all(chat: Conversation, many: int) -> None:
    with CaptureQueriesContext(connection) as queries:
        rows = [_new(chat, f"{n}", None) for n in range(many)]
        Message.objects.fast_bulk_create(rows)
        Message.objects.fast_bulk_update(rows, ["text"])
    inserted, updated = [query["sql"] for query in queries if "conversations_message" in query["sql"]]
    assert "INSERT" in inserted
    one_each = connection.vendor == "sqlite"
    assert updated.startswith(f"{many} times: UPDATE" if one_each else "\nUPDATE")


def _new(chat: Conversation, key_id: str, sender: Contact | None) -> Message:
    row = changed(Message(instance=chat.instance, conversation=chat, from_me=False, kind=Message.Kind.TEXT), sender)
    row.key_id, row.timestamp = key_id, NOON
    row.details = {"caption": '\u2028 \\ "', "count": 2**60, "none": None}
    return row
