"""The migration of the search indexes the rows that exist."""

from importlib import import_module

import pytest
from django.apps import apps
from django.db import connection

from conversations.search.find import find_contacts, find_conversations, find_messages
from conversations.search.query import parse
from tests.conversations.rows import a_chat, a_contact, a_group, a_message, an_instance

migration = import_module("conversations.migrations.0015_search")


@pytest.mark.django_db(transaction=True)
def test_the_migration_indexes_existing_rows() -> None:
    instance = an_instance()
    chat = a_chat(instance, contact=a_contact(instance, name="João"))
    group = a_group(instance, name="João")
    message = a_message(chat, text="João")
    with connection.schema_editor(atomic=False) as editor:
        migration.drop(apps, editor)
        migration.create(apps, editor)
    query = parse("joao")
    assert find_contacts(query, None, limit=5).rows == [chat.contact]
    assert set(find_conversations(query, None, limit=5).rows) == {chat, group}
    assert find_messages(query, None, limit=5).rows == [message]
