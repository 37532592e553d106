"""The migration orders existing messages of one second by arrival, and keeps read watermarks and last messages right."""

import datetime as dt
import importlib
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.db import connection

from conversations.models import Conversation, Message
from tests.conversations.rows import NOON, a_chat, a_message, an_instance

pytestmark = pytest.mark.django_db
migration = importlib.import_module("conversations.migrations.0009_order_within_a_second")


def migrate() -> None:
    editor = SimpleNamespace(connection=connection)
    migration.fill(apps, editor)
    migration.choose_last_messages(apps, editor)


def test_messages_of_one_second_get_the_order_of_arrival() -> None:
    chat = a_chat(an_instance())
    first, second = (a_message(chat, key_id=key_id, text=key_id, timestamp=NOON) for key_id in "BA")
    alone = a_message(chat, timestamp=NOON - dt.timedelta(seconds=1))
    imported = a_message(chat, timestamp=NOON, is_history=True)
    Conversation.objects.filter(pk=chat.pk).update(last_message=first, last_message_at=NOON, last_message_text="B")
    migrate()
    orders = dict(Message.objects.values_list("pk", "sent_order"))
    assert orders == {first.pk: first.pk, second.pk: second.pk, alone.pk: 0, imported.pk: 0}
    chat.refresh_from_db()
    assert (chat.last_message, chat.last_message_text) == (second, "A")
    assert Conversation.objects.recount(chat.pk).last_message == second


def test_what_was_read_stays_read() -> None:
    chat = a_chat(an_instance(), read_until=NOON, marked_read_until=NOON)
    for key_id in "AB":
        a_message(chat, key_id=key_id, timestamp=NOON)
    migrate()
    assert Conversation.objects.recount(chat.pk).unread_count == 0
