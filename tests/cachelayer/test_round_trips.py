"""Tests of the number of round trips to Redis, which are counted where a connection sends its bytes."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, transaction
from redis.connection import AbstractConnection

from cachelayer import cache
from cachelayer.runtime.runtime import get_runtime
from conversations.models import Contact, Conversation, Instance, Message
from tests.conversations.rows import a_chat, a_contact, a_message, an_instance

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("valkey_server")]


class SentCommands:
    """Records the Redis commands of the test thread. A post is a command for whose reply the thread does not wait."""

    def __init__(self) -> None:
        self.commands: list[bytes] = []

    @contextmanager
    def expect(self, round_trips: int, *, posts: int = 0) -> Iterator[None]:
        self.commands.clear()
        yield
        posted = [command for command in self.commands if b"ECHO" not in command]
        answered = [command for command in self.commands if b"ECHO" in command]
        assert (len(answered), len(posted)) == (round_trips, posts), self.commands


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> SentCommands:
    connection.ensure_connection()  # a new connection to the database checks with the store whether it was restarted
    sent, this_thread = SentCommands(), threading.current_thread()
    send_packed_command: Any = AbstractConnection.send_packed_command

    def record_and_send(self: Any, command: Any, *args: Any, **kwargs: Any) -> None:
        if threading.current_thread() is this_thread:
            sent.commands.append(b"".join(command) if isinstance(command, list) else command)
        send_packed_command(self, command, *args, **kwargs)

    monkeypatch.setattr(AbstractConnection, "send_packed_command", record_and_send)
    return sent


@pytest.fixture
def row() -> Instance:
    return an_instance()


# --- reads ------------------------------------------------------------------------------------------------------------
def test_a_load_takes_three_round_trips_a_fresh_hit_one_and_a_local_hit_none(sent: SentCommands, row: Instance) -> None:
    with sent.expect(3):
        Instance.objects.fetch(row.pk)
    with sent.expect(0):
        Instance.objects.fetch(row.pk)
    with sent.expect(1):
        Instance.objects.fetch(row.pk, fresh=True)


def test_a_missing_row_takes_as_many_round_trips_as_a_row(sent: SentCommands, row: Instance) -> None:
    for round_trips, fresh in ((3, False), (0, False), (1, True)):
        with sent.expect(round_trips), pytest.raises(Instance.DoesNotExist):
            Instance.objects.fetch(row.pk + 1, fresh=fresh)


def test_a_page_takes_as_many_round_trips_as_a_row(sent: SentCommands, row: Instance) -> None:
    for _ in range(60):
        a_contact(row)
    for round_trips, fresh in ((3, False), (0, False), (1, True)):
        with sent.expect(round_trips):
            page = Contact.objects.for_instance(row, limit=50, fresh=fresh)
        with sent.expect(round_trips):
            Contact.objects.for_instance(row, limit=50, cursor=page.next_cursor, fresh=fresh)


def test_many_rows_take_as_many_round_trips_as_one(sent: SentCommands, row: Instance) -> None:
    pks = [a_contact(row).pk for _ in range(100)]
    missing = [*range(max(pks) + 1, max(pks) + 11)]
    with sent.expect(3):
        Contact.objects.fetch_many(pks[:50])
    with sent.expect(1):
        Contact.objects.fetch_many(pks[:50], fresh=True)
    with sent.expect(3):
        assert len(Contact.objects.fetch_many(pks)) == 100
    with sent.expect(3):
        assert len(Contact.objects.fetch_many([*pks, *missing])) == 100
    with sent.expect(0):
        assert len(Contact.objects.fetch_many([*pks, *missing])) == 100
    with sent.expect(1):
        assert len(Contact.objects.fetch_many([*pks, *missing], fresh=True)) == 100


def test_a_plain_value_takes_as_many_round_trips_as_a_row(sent: SentCommands) -> None:
    with sent.expect(3):
        cache.fetch("x", dict)
    with sent.expect(0):
        cache.get("x")
    get_runtime().local.invalidate(["*"])
    with sent.expect(1):
        cache.get("x")
    with sent.expect(1):
        cache.get("y")
    with sent.expect(1):
        cache.set("x", 1)
    with sent.expect(1, posts=1):
        cache.delete("x")


# --- writes -----------------------------------------------------------------------------------------------------------
def test_a_save_takes_one_round_trip_and_one_post(sent: SentCommands, row: Instance) -> None:
    contact, message = a_contact(row), a_message(a_chat(row))
    for one in (row, contact, message.conversation, message):
        with sent.expect(1, posts=1):
            one.save()
    with sent.expect(1, posts=1):
        an_instance()
    with sent.expect(1, posts=1):
        row.profile_name = "new"
        row.save(update_fields=["profile_name"])


def test_a_transaction_sends_one_end_whatever_it_has_written(sent: SentCommands, row: Instance) -> None:
    contacts = [a_contact(row) for _ in range(5)]
    with sent.expect(5, posts=1), transaction.atomic():
        for contact in contacts * 2:
            contact.save()


def test_a_bulk_write_announces_its_tags_in_one_round_trip(sent: SentCommands, row: Instance) -> None:
    with sent.expect(1, posts=1):
        rows = Contact.objects.bulk_create(Contact(instance=row, jid=f"{n}@lid", name="x") for n in range(50))
    with sent.expect(1, posts=1):
        Contact.objects.bulk_update(rows, ["name"])
    with sent.expect(1, posts=1):
        Contact.objects.fast_bulk_update(rows, ["name"])
    with sent.expect(1, posts=1):
        Contact.objects.filter(name="x").update(name="y")
    with sent.expect(1, posts=1):
        cache.touch("instance:1", "messages:2", "contacts")


def test_deleting_an_instance_needs_a_round_trip_for_each_model_with_rows(sent: SentCommands, row: Instance) -> None:
    for _ in range(20):
        a_message(a_chat(row))
    with sent.expect(4, posts=1):
        Instance.objects.delete(row.pk)


def test_a_read_during_a_write_needs_one_round_trip(sent: SentCommands, row: Instance) -> None:
    Instance.objects.fetch(row.pk)
    with transaction.atomic():
        row.save()
        for _ in range(2):
            with sent.expect(1):
                Instance.objects.fetch(row.pk)


def test_a_read_in_a_transaction_without_writes_needs_one_round_trip(sent: SentCommands) -> None:
    chat = a_chat(an_instance())
    with transaction.atomic():
        with sent.expect(1):
            Conversation.objects.fetch(chat.pk)
        with sent.expect(1):
            Message.objects.for_conversation(chat)
