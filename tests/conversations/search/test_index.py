"""The search indexes contain the rows from before the migration, and PostgreSQL has statistics of their words."""

import json
from importlib import import_module

import pytest
from django.apps import apps
from django.db import connection
from django.db.models import Q

from conversations.models import Message
from conversations.search import lexemes
from conversations.search.buckets import bucket
from conversations.search.find import find_contacts, find_conversations, find_messages
from conversations.search.folding import fold
from conversations.search.lexemes import MESSAGES, Matches
from conversations.search.query import parse
from tests.conversations.rows import NOON, a_chat, a_contact, a_group, a_message, an_instance

migration = import_module("conversations.migrations.0015_search")
statistics = import_module("conversations.migrations.0020_search_statistics")
names = import_module("conversations.migrations.0023_group_names")
marks = import_module("conversations.migrations.0025_marks")
long_texts = import_module("conversations.migrations.0037_long_texts")


def test_the_search_and_the_index_agree_which_texts_are_long() -> None:
    """A migration imports no code that may change, so both state the length."""
    assert long_texts.LONG == lexemes.LONG


@pytest.mark.django_db(transaction=True)
def test_the_migration_indexes_existing_rows() -> None:
    instance = an_instance()
    chat = a_chat(instance, contact=a_contact(instance, name="João"))
    group = a_group(instance, name="Equipe", original_name="João")
    message = a_message(chat, text="João")
    with connection.schema_editor(atomic=False) as editor:
        long_texts.drop(apps, editor)
        marks.restore(apps, editor)
        names.drop(apps, editor)
        statistics.drop(apps, editor)
        migration.drop(apps, editor)
        migration.create(apps, editor)
        statistics.create(apps, editor)
        names.create(apps, editor)
        marks.replace(apps, editor)
        long_texts.create(apps, editor)
    query = parse("joao")
    assert find_contacts(query, None, limit=5).rows == [chat.contact]
    assert set(find_conversations(query, None, limit=5).rows) == {chat, group}
    assert find_messages(query, None, limit=5).rows == [message]


@pytest.mark.postgresql
@pytest.mark.django_db
@pytest.mark.parametrize("first", ["b", "\u0651", "\u0f73", "\uff9e", "\U0001d165"])
def test_postgresql_divides_long_runs_of_marks_as_python_does(first: str) -> None:
    text = f"João {first}" + "\u0651" * 31 + "\u064b" * 31 + " \u0301a"
    with connection.cursor() as cursor:
        cursor.execute("SELECT conversations_fold(%s)", [text])
        assert cursor.fetchone() == (fold(text),)


@pytest.mark.postgresql
@pytest.mark.django_db
def test_postgresql_leaves_out_a_word_that_becomes_too_long() -> None:
    """Each of these characters becomes six, so 500 bytes become 3,000."""
    message = a_message(a_chat(an_instance()), text="\u3316" * 160 + " pedido")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT conversations_message_search(instance_id, timestamp, text)::text FROM conversations_message"
        )
        assert cursor.fetchone() == (f"'i{message.instance_id}':1 'm{bucket(message.timestamp)}xpedido':2",)


@pytest.mark.postgresql
@pytest.mark.django_db
def test_postgresql_expects_few_messages_with_a_word_that_no_message_has() -> None:
    chat = a_chat(an_instance())
    Message.objects.bulk_create(
        Message(
            conversation=chat,
            instance=chat.instance,
            key_id=f"{number}",
            from_me=False,
            timestamp=NOON,
            text=f"word{number} again",
        )
        for number in range(2000)
    )
    buckets = range(bucket(NOON) - 11, bucket(NOON) + 1)
    rows = Message.objects.filter(~Q(text=""), Matches(MESSAGES, parse("quirino").texts, None, buckets))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE conversations_message")
    plan = json.loads(rows.order_by().explain(format="json"))[0]["Plan"]
    assert plan["Plan Rows"] < 100  # 430 without statistics
