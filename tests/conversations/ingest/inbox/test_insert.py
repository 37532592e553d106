"""When several processes insert rows that workers update, there is no deadlock and no duplicate row."""

import json
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.utils import timezone

from conversations.ingest.inbox import insert
from conversations.models import Instance, WebhookEvent
from tests.waiting import TIMEOUT, wait_until

pytestmark = pytest.mark.django_db(transaction=True)


def build_rows(instance: Instance, *digests: str) -> list[insert.Row]:
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    return [(instance.pk, digest, "", "call", "{}", now, now, False, 1, 1, 2) for digest in digests]


def write_in_thread(rows: list[insert.Row], barrier: threading.Barrier | None = None) -> None:
    """Insert rows in a thread without group commit, to simulate a thread of another process."""
    try:
        if barrier is not None:
            connection.ensure_connection()
            barrier.wait(TIMEOUT)
        insert.write_rows(rows)
    finally:
        connections.close_all()


def count_waiting_locks() -> Any:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return cursor.fetchone()[0]


def test_two_processes_that_insert_the_same_events_in_different_orders_do_not_deadlock(instance: Instance) -> None:
    barrier = threading.Barrier(2)
    for number in range(5):
        rows = build_rows(instance, *[f"{number}-{n}" for n in range(400)])
        with ThreadPoolExecutor(2) as threads:
            futures = [
                threads.submit(write_in_thread, rows, barrier),
                threads.submit(write_in_thread, rows[::-1], barrier),
            ]
        assert [future.exception() for future in futures] == [None, None]
    assert WebhookEvent.objects.count() == 2000


@pytest.mark.postgresql
def test_inserting_repeated_events_does_not_deadlock_with_the_worker_that_applies_them(instance: Instance) -> None:
    rows = build_rows(instance, "a", "b")
    insert.insert_events(rows)
    with ThreadPoolExecutor(1) as threads:
        with transaction.atomic():
            WebhookEvent.objects.filter(digest="b").update(outcome="applied")
            repeated = threads.submit(write_in_thread, rows)
            wait_until(count_waiting_locks)
            WebhookEvent.objects.filter(digest="a").update(outcome="ignored")
        assert repeated.exception(TIMEOUT) is None
    assert set(WebhookEvent.objects.values_list("digest", "outcome")) == {("a", "ignored"), ("b", "applied")}


def with_payloads(rows: list[insert.Row], payload: str | bytearray) -> list[insert.Row]:
    return [(*row[:4], payload, *row[5:-1], len(payload)) for row in rows]


@pytest.mark.parametrize("count", [1, 40], ids=["one", "many parts"])
@pytest.mark.parametrize("kind", [str, bytearray])
def test_large_payloads_are_in_memory_twice_at_most(instance: Instance, kind: type, count: int) -> None:
    text = json.dumps("é" * (800_000 // count), ensure_ascii=kind is str)
    payload = text if kind is str else bytearray(text.encode())
    rows = with_payloads(build_rows(instance, *[f"{number:02}" for number in range(count)]), payload)
    insert.insert_events(rows)  # imports what it needs
    WebhookEvent.objects.all().delete()
    tracemalloc.start()
    try:
        insert.insert_events(rows)
        assert tracemalloc.get_traced_memory()[1] < 1.2 * len(payload) * count
    finally:
        tracemalloc.stop()
    assert [event.payload for event in WebhookEvent.objects.all()] == [json.loads(text)] * count


def test_a_payload_in_bytes_becomes_json_like_text(instance: Instance) -> None:
    encoded = bytearray('{"a": "é😀"}'.encode())
    rows = build_rows(instance, "text", "bytes")
    insert.insert_events([rows[0], *with_payloads(rows[1:], encoded)])
    insert.replace_payload(WebhookEvent.objects.get(digest="text").pk, encoded)
    assert [event.payload for event in WebhookEvent.objects.all()] == [{"a": "é😀"}] * 2
    assert WebhookEvent.objects.filter(payload__a="é😀").count() == 2


def test_a_repeated_event_becomes_due_again_only_if_it_failed_or_was_unknown(instance: Instance) -> None:
    rows = build_rows(instance, "applied", "failed", "stored", "unknown")
    insert.insert_events(rows)
    for event in WebhookEvent.objects.all():
        event.outcome, event.attempts = event.digest, 3
        event.save()
    insert.insert_events([*rows, *build_rows(instance, "new")])
    attempts = dict(WebhookEvent.objects.values_list("digest", "attempts"))
    assert attempts == {"applied": 3, "failed": 0, "stored": 3, "unknown": 0, "new": 0}
    assert set(WebhookEvent.objects.exclude(outcome="stored").values_list("digest", flat=True)) == {"applied"}
