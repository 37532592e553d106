"""Storing: one insert, whatever has become of the connection, and however many store at once."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, connections

from conversations.ingest.inbox.store import store_body
from conversations.ingest.worker.batch import apply_due
from conversations.models import Conversation, Instance, Message, WebhookEvent
from tests.conversations.ingest.inboxes import NO_DELAY, store_all, text, texts

THREADS = 8


@pytest.fixture
def instance() -> Instance:
    return Instance.objects.create(name="sales")


def store_and_leave(instance: Instance, body: object) -> None:
    try:
        store_body(instance, body)
    finally:
        connections.close_all()


@pytest.mark.django_db(transaction=True)
def test_many_threads_store_at_once_and_each_body_is_one_row(instance: Instance) -> None:
    bodies = texts(60)
    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(lambda body: store_and_leave(instance, body), [*bodies, *bodies, *bodies[::-1]]))
    assert WebhookEvent.objects.count() == len(bodies)


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_connection_that_the_server_has_closed_is_made_anew(instance: Instance) -> None:
    store_all(instance, *texts(1))
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (backend,) = cursor.fetchone()
    with ThreadPoolExecutor(1) as threads:
        threads.submit(terminate, backend).result()
    store_all(instance, *texts(2))
    assert WebhookEvent.objects.count() == 2


def terminate(backend: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 10000)", [backend])
    connection.close()


@pytest.mark.django_db
def test_a_storm_of_copies_of_one_message_is_one_message_and_one_unread(instance: Instance) -> None:
    store_all(instance, *(text("SAME", at=n) for n in range(837)))
    assert WebhookEvent.objects.count() == 837
    while apply_due(instance.pk, NO_DELAY):
        pass
    assert Message.objects.count() == 1
    assert Conversation.objects.get().unread_count == 1
