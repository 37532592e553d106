"""An instance can be deleted while its events are applied: the deletion waits for the batch, and neither fails."""

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, connections

from conversations.ingest.conf import Options
from conversations.ingest.inbox.store import store_body
from conversations.ingest.worker import batch
from conversations.models import Contact, Instance, Message, WebhookEvent
from tests.conversations.ingest.bodies import PHONE, text
from tests.conversations.ingest.receive import receive
from tests.waiting import wait_until

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]


def delete(pk: int) -> bool:
    try:
        return Instance.objects.delete(pk)
    finally:
        connections.close_all()


def is_somebody_waiting() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])


def test_a_deletion_waits_for_the_batch_before_it_locks_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    instance = Instance.objects.create(name="shop")
    receive(instance, text("M1", PHONE))
    store_body(instance, text("M2", PHONE, "olá", at=5, key={"pushName": "Bia"}))
    assert batch.apply_due(instance.pk, Options.read(), ignore_schedule=True) == 1  # the lease exists now
    store_body(instance, text("M3", PHONE, "tchau", at=9))
    deletions: list[Future[bool]] = []

    with ThreadPoolExecutor(1) as threads:

        def find_after_deletion_began(*args: Any, **options: Any) -> Any:
            deletions.append(threads.submit(delete, instance.pk))
            wait_until(is_somebody_waiting)
            return find(*args, **options)

        find = batch.find_due_events
        monkeypatch.setattr(batch, "find_due_events", find_after_deletion_began)
        assert batch.apply_due(instance.pk, Options.read(), ignore_schedule=True) == 1
        assert deletions[0].result()

    for model in (Instance, Contact, Message, WebhookEvent):
        assert not model._default_manager.exists()  # noqa: SLF001 - Django documents it
