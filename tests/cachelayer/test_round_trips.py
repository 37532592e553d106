"""How often the server is asked: counted where a connection sends, so that everything there is counted."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import transaction
from redis.connection import AbstractConnection

from cachelayer import cache
from cachelayer.runtime.runtime import get_runtime
from conversations.models import Contact, Conversation, Instance, Message
from tests.conversations.rows import a_chat, a_contact, a_message, an_instance

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("valkey_server")]


class Sent:
    """What this thread sends; what is posted is sent too, but its answer is not waited for."""

    def __init__(self) -> None:
        self.commands: list[bytes] = []

    @contextmanager
    def trips(self, expected: int, *, posts: int = 0) -> Iterator[None]:
        self.commands.clear()
        yield
        posted = [command for command in self.commands if b"SKIP" in command]
        answered = [command for command in self.commands if b"SKIP" not in command]
        assert (len(answered), len(posted)) == (expected, posts), self.commands


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Sent:
    found, here = Sent(), threading.current_thread()
    send: Any = AbstractConnection.send_packed_command

    def count(self: Any, command: Any, *args: Any, **kwargs: Any) -> None:
        if threading.current_thread() is here:
            found.commands.append(b"".join(command) if isinstance(command, list) else command)
        send(self, command, *args, **kwargs)

    monkeypatch.setattr(AbstractConnection, "send_packed_command", count)
    return found


@pytest.fixture
def row() -> Instance:
    return an_instance()


# --- reads ------------------------------------------------------------------------------------------------------------
def test_a_row(sent: Sent, row: Instance) -> None:
    with sent.trips(3):
        Instance.objects.fetch(row.pk)
    with sent.trips(0):
        Instance.objects.fetch(row.pk)
    with sent.trips(1):
        Instance.objects.fetch(row.pk, fresh=True)


def test_a_row_that_is_not_there(sent: Sent, row: Instance) -> None:
    for expected, fresh in ((3, False), (0, False), (1, True)):
        with sent.trips(expected), pytest.raises(Instance.DoesNotExist):
            Instance.objects.fetch(row.pk + 1, fresh=fresh)


def test_a_list(sent: Sent, row: Instance) -> None:
    for _ in range(60):
        a_contact(row)
    for expected, fresh in ((3, False), (0, False), (1, True)):
        with sent.trips(expected):
            page = Contact.objects.for_instance(row, limit=50, fresh=fresh)
        with sent.trips(expected):
            Contact.objects.for_instance(row, limit=50, cursor=page.next_cursor, fresh=fresh)


def test_many_rows(sent: Sent, row: Instance) -> None:
    pks = [a_contact(row).pk for _ in range(100)]
    absent = [*range(max(pks) + 1, max(pks) + 11)]
    with sent.trips(3):
        Contact.objects.fetch_many(pks[:50])
    with sent.trips(1):
        Contact.objects.fetch_many(pks[:50], fresh=True)
    with sent.trips(3):
        assert len(Contact.objects.fetch_many(pks)) == 100
    with sent.trips(3):
        assert len(Contact.objects.fetch_many([*pks, *absent])) == 100
    with sent.trips(0):
        assert len(Contact.objects.fetch_many([*pks, *absent])) == 100
    with sent.trips(1):
        assert len(Contact.objects.fetch_many([*pks, *absent], fresh=True)) == 100


def test_a_value(sent: Sent) -> None:
    with sent.trips(3):
        cache.fetch("x", dict)
    with sent.trips(0):
        cache.get("x")
    get_runtime().local.invalidate(["*"])
    with sent.trips(1):
        cache.get("x")
    with sent.trips(1):
        cache.get("y")
    with sent.trips(1):
        cache.set("x", 1)
    with sent.trips(1, posts=1):
        cache.delete("x")


# --- writes -----------------------------------------------------------------------------------------------------------
def test_a_save(sent: Sent, row: Instance) -> None:
    contact, message = a_contact(row), a_message(a_chat(row))
    for one in (row, contact, message.conversation, message):
        with sent.trips(1, posts=1):
            one.save()
    with sent.trips(1, posts=1):
        an_instance()
    with sent.trips(1, posts=1):
        row.profile_name = "new"
        row.save(update_fields=["profile_name"])


def test_a_transaction_ends_once_however_much_it_has_written(sent: Sent, row: Instance) -> None:
    contacts = [a_contact(row) for _ in range(5)]
    with sent.trips(5, posts=1), transaction.atomic():
        for contact in contacts * 2:
            contact.save()


def test_many_rows_at_once_are_one_write(sent: Sent, row: Instance) -> None:
    with sent.trips(1, posts=1):
        rows = Contact.objects.bulk_create(Contact(instance=row, jid=f"{n}@lid", name="x") for n in range(50))
    with sent.trips(1, posts=1):
        Contact.objects.bulk_update(rows, ["name"])
    with sent.trips(1, posts=1):
        Contact.objects.fast_bulk_update(rows, ["name"])
    with sent.trips(1, posts=1):
        Contact.objects.filter(name="x").update(name="y")
    with sent.trips(1, posts=1):
        cache.touch("instance:1", "messages:2", "contacts")


def test_a_deletion_of_an_instance_is_one_write_a_kind_of_rows(sent: Sent, row: Instance) -> None:
    for _ in range(20):
        a_message(a_chat(row))
    with sent.trips(4, posts=1):
        Instance.objects.delete(row.pk)


def test_a_read_while_a_write_is_under_way(sent: Sent, row: Instance) -> None:
    Instance.objects.fetch(row.pk)
    with transaction.atomic():
        row.save()
        for _ in range(2):
            with sent.trips(1):
                Instance.objects.fetch(row.pk)


def test_a_read_in_a_transaction_that_wrote_nothing(sent: Sent) -> None:
    chat = a_chat(an_instance())
    with transaction.atomic():
        with sent.trips(1):
            Conversation.objects.fetch(chat.pk)
        with sent.trips(1):
            Message.objects.for_conversation(chat)
