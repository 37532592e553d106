"""Deleting an instance or a conversation takes few statements and little memory, and leaves no stale cache entry."""

import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from django.db import connection, transaction
from django.db.models import Model
from django.db.models.signals import post_init
from django.test.utils import CaptureQueriesContext

from cachelayer.runtime.runtime import CacheRuntime
from conversations.models import Contact, Conversation, Instance, Message, Participant, WebhookEvent
from tests.conversations.rows import a_chat, a_contact, a_group, a_message, an_instance

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("cache_runtime")]

MESSAGES = 100_000
MEGABYTE = 2**20


def multiply(message: Message, times: int) -> None:
    """Insert `times` copies of a message into the message table with SQL."""
    columns = [str(field.column) for field in Message._meta.concrete_fields[1:]]  # noqa: SLF001 - Django documents the attribute _meta
    expressions = {"key_id": "m.key_id || n.i"}
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL session_replication_role = replica")  # makes PostgreSQL skip the triggers
        cursor.execute(
            f"INSERT INTO conversations_message ({', '.join(columns)}) "  # noqa: S608 - the column names come from the model
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %s) "
            f"SELECT {', '.join(expressions.get(name, f'm.{name}') for name in columns)} "
            "FROM conversations_message m, n WHERE m.id = %s",
            [times, message.pk],
        )


@contextmanager
def memory_limit(megabytes: float) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < megabytes * MEGABYTE
    finally:
        tracemalloc.stop()


@contextmanager
def creating_no_instances_of(*models: type[Model]) -> Iterator[None]:
    created: list[type[Model]] = []

    def record(sender: type[Model], **_signal: object) -> None:
        created.append(sender)

    for model in models:
        post_init.connect(record, sender=model)
    try:
        yield
        assert not created
    finally:
        for model in models:
            post_init.disconnect(record, sender=model)


def an_instance_with_messages(count: int) -> Instance:
    instance = an_instance()
    chat, group = a_chat(instance, name="Ana"), a_group(instance)
    group.participants.create(contact=a_contact(instance), clock="1")
    message = a_message(chat, sender=chat.contact)
    multiply(message, count)
    chat.last_message = message
    chat.save()
    WebhookEvent.objects.create(instance=instance, name="x", payload={}, digest="1")
    return instance


def test_deleting_an_instance_with_a_hundred_thousand_messages(cache_runtime: CacheRuntime) -> None:
    instance, other = an_instance_with_messages(MESSAGES), an_instance_with_messages(3)
    message = Message.objects.filter(instance=instance).earliest("pk")
    Message.objects.fetch(message.pk)
    page = Message.objects.for_conversation(message.conversation_id)
    assert len(page.rows) == 50
    with (
        CaptureQueriesContext(connection) as queries,
        memory_limit(2),
        creating_no_instances_of(Message, Conversation, Contact, Participant),
    ):
        assert Instance.objects.delete(instance.pk)
    assert len(queries) <= 23, queries.captured_queries
    for model in (Message, Conversation, Contact, WebhookEvent):
        assert set(model._default_manager.values_list("instance", flat=True)) == {other.pk}  # noqa: SLF001 - Django documents the attribute _default_manager
    with pytest.raises(Message.DoesNotExist):
        Message.objects.fetch(message.pk)
    assert Message.objects.for_conversation(message.conversation_id).rows == []
    assert Conversation.objects.for_instance(instance).rows == []
    assert [row.instance_id for row in Message.objects.for_instance(None).rows] == [other.pk] * 4
    assert not cache_runtime.in_flight


DELETIONS: dict[str, Callable[[Instance], object]] = {
    "a row": lambda row: row.delete(),
    "the manager": lambda row: Instance.objects.delete(row.pk),
    "a queryset": lambda row: Instance.objects.filter(pk=row.pk).delete(),
}


@pytest.mark.parametrize("delete", DELETIONS.values(), ids=DELETIONS)
def test_the_number_of_statements_does_not_depend_on_the_number_of_rows(delete: Callable[[Instance], object]) -> None:
    counts = []
    for count in (1, 500):
        instance = an_instance_with_messages(count)
        with CaptureQueriesContext(connection) as queries:
            delete(instance)
        counts.append(len(queries))
    assert counts[0] == counts[1]
    assert not Message.objects.exists()


def test_deleting_a_conversation_deletes_its_messages(cache_runtime: CacheRuntime) -> None:
    an_instance_with_messages(1000)
    chat, group = Conversation.objects.order_by("pk")
    a_message(group)
    message = chat.messages.earliest("pk")
    Message.objects.fetch(message.pk)
    with memory_limit(2), creating_no_instances_of(Message):
        assert Conversation.objects.delete(chat.pk)
    assert [row.conversation_id for row in Message.objects.all()] == [group.pk]
    with pytest.raises(Message.DoesNotExist):
        Message.objects.fetch(message.pk)
    assert not cache_runtime.in_flight
