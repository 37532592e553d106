"""On PostgreSQL a change of a message's status writes no index entries, and lists find failed messages by `is_failed`."""

from importlib import import_module

import pytest
from django.apps import apps
from django.db import connection

from conversations.models import Message
from tests.conversations.ingest.apply.orders import apply_bodies, new_instance
from tests.conversations.ingest.bodies import PHONE, Body, envelope, text
from tests.conversations.rows import a_chat, a_message, an_instance

migration = import_module("conversations.migrations.0021_ticks")

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db]

PENDING, SENT, FAILED, DELIVERED, *_ = Message.Status


def tick(status: str) -> Body:
    return envelope("messages.update", {"keyId": "M1", "remoteJid": PHONE, "fromMe": True, "status": status})


def updates() -> tuple[int, int]:
    """Return the number of updates of messages in the current transaction, and how many of them were HOT."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_xact_user_tables WHERE relname = 'conversations_message'"
        )
        total, hot = cursor.fetchone()
        return total, hot


def test_ticks_are_hot_updates() -> None:
    instance = new_instance()
    apply_bodies(instance, text("M1", from_me=True))
    total, hot = updates()
    apply_bodies(instance, *map(tick, ("SERVER_ACK", "DELIVERY_ACK", "READ")))
    assert Message.objects.get().status == Message.Status.READ
    assert updates() == (total + 3, hot + 3)


def failed() -> set[int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM conversations_message WHERE is_failed")
        return {pk for (pk,) in cursor.fetchall()}


def test_every_write_of_a_status_says_whether_the_message_failed() -> None:
    chat = a_chat(an_instance())
    created = a_message(chat, status=FAILED)
    (inserted,) = Message.objects.bulk_create([copy(created, "A", SENT)])
    Message.objects.fast_bulk_create([fast := copy(created, "B", FAILED)])
    assert failed() == {created.pk, fast.pk}
    created.status = DELIVERED
    created.save()
    fast.status = DELIVERED
    Message.objects.fast_bulk_update([fast], ["status"])
    assert failed() == set()
    Message.objects.filter(pk=inserted.pk).update(status=FAILED)
    assert failed() == {inserted.pk}
    Message.objects.update(text="edited")
    assert failed() == {inserted.pk}


def copy(row: Message, key_id: str, status: int) -> Message:
    return Message(
        instance=row.instance, conversation=row.conversation, key_id=key_id, from_me=True, kind="text",
        timestamp=row.timestamp, status=status,
    )  # fmt: skip


@pytest.mark.django_db(transaction=True)
def test_the_migration_finds_existing_failed_messages_and_may_be_interrupted() -> None:
    chat = a_chat(an_instance())
    with connection.schema_editor(atomic=False) as editor:
        migration.drop(apps, editor)
        old, _ = a_message(chat, status=FAILED), a_message(chat, status=SENT)
        editor.execute(migration.CREATE[0])
        migration.create(apps, editor)
        migration.create(apps, editor)
    assert failed() == {old.pk}
    assert list(Message.objects.for_instance(None, status=FAILED).rows) == [old]
