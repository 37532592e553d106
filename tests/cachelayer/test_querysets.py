"""Rows that are saved together: they are what `save` would have made of each, and nobody else's are."""

import datetime as dt

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from conversations.models import Contact, Conversation, Message
from tests.conversations.rows import NOON, a_contact, a_group, a_message, an_instance

pytestmark = pytest.mark.django_db(transaction=True)
FIELDS = ("sender", "status", "text", "edited_at", "is_deleted", "reactions", "updated_at")


@pytest.fixture
def chat() -> Conversation:
    return a_group(an_instance())


def changed(row: Message, sender: Contact | None) -> Message:
    row.sender, row.status, row.is_deleted = sender, Message.Status.READ, True
    row.text, row.reactions = "50 % 'off' 👍", {"5511@s.whatsapp.net": {"emoji": "❤", "at": 2**40}}
    row.edited_at = NOON + dt.timedelta(microseconds=1)
    row.key_id = "not among the fields"
    return row


def values(row: Message) -> dict[str, object]:
    return {name: getattr(row, name) for name in FIELDS if name != "updated_at"}


def test_they_are_what_each_would_be_by_itself(chat: Conversation) -> None:
    alone, one, other, bystander = (a_message(chat) for _ in range(4))
    sender = a_contact(chat.instance)
    before, kept = one.updated_at, Message.objects.get(pk=bystander.pk)
    changed(alone, sender).save(update_fields=FIELDS)
    Message.objects.save_rows([changed(one, sender), changed(other, None)], FIELDS)
    alone, one, other = (Message.objects.get(pk=row.pk) for row in (alone, one, other))
    assert values(one) == values(alone)
    assert (other.sender_id, other.text) == (None, alone.text)
    assert one.updated_at > before
    assert one.key_id != "not among the fields"
    assert vars(Message.objects.get(pk=bystander.pk)) | {"_state": None} == vars(kept) | {"_state": None}


def test_it_is_one_statement_for_all(chat: Conversation) -> None:
    rows = [a_message(chat) for _ in range(10)]
    with CaptureQueriesContext(connection) as queries:
        Message.objects.save_rows(rows, ["text"])
    assert [query["sql"] for query in queries if "UPDATE" in query["sql"]] == [
        '10 times: UPDATE "conversations_message" SET "text" = %s WHERE "id" = %s'
    ]
