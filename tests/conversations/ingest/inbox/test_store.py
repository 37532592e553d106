"""Each webhook body is stored as one row, from many threads, and also after the server closed the connection."""

import copy
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, connections

from conversations.ingest.inbox.store import store_body
from conversations.models import Instance, WebhookEvent
from tests.conversations.ingest.bodies import texts
from tests.conversations.ingest.inboxes import store_all

THREADS = 8


def store_in_thread(instance: Instance, body: object) -> None:
    try:
        store_body(instance, copy.deepcopy(body))
    finally:
        connections.close_all()


@pytest.mark.django_db(transaction=True)
def test_a_body_that_many_threads_store_at_once_is_one_row(instance: Instance) -> None:
    bodies = texts(60)
    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(lambda body: store_in_thread(instance, body), [*bodies, *bodies, *bodies[::-1]]))
    assert WebhookEvent.objects.count() == len(bodies)


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_storing_reconnects_when_the_server_has_closed_the_connection(instance: Instance) -> None:
    store_all(instance, *texts(1))
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    with ThreadPoolExecutor(1) as threads:
        threads.submit(terminate, pid).result()
    store_all(instance, *texts(2))
    assert WebhookEvent.objects.count() == 2


def terminate(pid: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 10000)", [pid])
    connection.close()
