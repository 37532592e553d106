"""Rows in bulk: as many as were asked for, each as ingestion would have left it."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections
from django.forms import model_to_dict

from conversations.demo import bulk_insert, bulk_rows, scale
from conversations.models import Contact, ContactAddress, Conversation, Instance, Message

pytestmark = pytest.mark.django_db


def test_the_tables_are_filled(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("demo", "--scale=600", "--quiet")
    assert Conversation.objects.count() == Contact.objects.count() == ContactAddress.objects.count() == 60
    assert Instance.objects.count() == bulk_rows.INSTANCES
    messages = 60 * bulk_rows.EACH - bulk_rows.INSTANCES  # the first of each instance's is one short
    assert Message.objects.count() == messages
    assert capsys.readouterr().out.startswith(f"Wrote {messages} messages")


def test_filled_again_there_are_more() -> None:
    for times in (1, 2):
        list(scale.fill(200))
        assert Conversation.objects.count() == times * 20


def test_rows_are_as_their_messages_say() -> None:
    list(scale.fill(2000))
    for conversation in Conversation.objects.all()[:20]:
        before = model_to_dict(conversation)
        assert model_to_dict(Conversation.objects.recount(conversation.pk)) == before
    assert Conversation.objects.filter(unread_count=1).count() == bulk_rows.INSTANCES


def test_what_is_made_afterwards_has_primary_keys_of_its_own() -> None:
    list(scale.fill(200))
    instance = Instance.objects.get(name=scale.NAME.format(1))
    conversation, is_new = Conversation.objects.upsert(instance, "5521987654321@s.whatsapp.net")
    assert is_new
    Message.objects.create(
        instance=instance, conversation=conversation, key_id="A", from_me=True, kind="text", timestamp=bulk_rows.FIRST
    )


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_reserved_key_is_given_to_nobody_else() -> None:
    both = threading.Barrier(2)

    def given(by: Callable[[], list[int]]) -> list[int]:
        connection.ensure_connection()
        both.wait()
        keys = [key for _ in range(300) for key in by()]
        connections.close_all()
        return keys

    def reserved() -> list[int]:
        first = bulk_insert.reserve(Contact, 100)
        return list(range(first, first + 100))

    def one_by_one() -> list[int]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT nextval(pg_get_serial_sequence('conversations_contact', 'id'))")
            return [cursor.fetchone()[0]]

    for other in (one_by_one, reserved):
        with ThreadPoolExecutor(2) as threads:
            ours, theirs = threads.map(given, (reserved, other))
        assert len({*ours, *theirs}) == len(ours) + len(theirs)


@pytest.mark.django_db(transaction=True)
def test_the_cache_hears_of_it() -> None:
    list(scale.fill(20))
    instance = Instance.objects.get(name=scale.NAME.format(1))
    assert len(Conversation.objects.for_instance(instance).rows) == 1
    list(scale.fill(40))
    assert len(Conversation.objects.for_instance(instance).rows) == 2


def test_a_number_that_is_none_is_refused() -> None:
    with pytest.raises(CommandError, match="1 or more"):
        call_command("demo", "--scale=0")
