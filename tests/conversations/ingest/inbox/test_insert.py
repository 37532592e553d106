"""Rows that several processes insert at once, and workers write to meanwhile: nobody waits in a circle."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.utils import timezone

from conversations.ingest.inbox import insert
from conversations.models import Instance, WebhookEvent
from tests.conversations.ingest.processes import TIMEOUT_SECONDS, wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def instance() -> Instance:
    return Instance.objects.create(name="sales")


def rows(instance: Instance, *digests: str) -> list[insert.Row]:
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    return [(instance.pk, digest, "", "call", "{}", now, now, False, 1, 1, 2) for digest in digests]


def written(rows: list[insert.Row], both: threading.Barrier | None = None) -> None:
    """Insert, as a thread of another process would."""
    try:
        if both is not None:
            connection.ensure_connection()
            both.wait(TIMEOUT_SECONDS)
        insert._write(rows)  # noqa: SLF001 - past the queue of this process
    finally:
        connections.close_all()


def waiting() -> Any:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return cursor.fetchone()[0]


def test_two_processes_that_got_the_same_events_in_another_order_do_not_wait_for_each_other(instance: Instance) -> None:
    both = threading.Barrier(2)
    for turn in range(5):
        some = rows(instance, *[f"{turn}-{place}" for place in range(400)])
        with ThreadPoolExecutor(2) as threads:
            futures = [threads.submit(written, some, both), threads.submit(written, some[::-1], both)]
        assert [future.exception() for future in futures] == [None, None]
    assert WebhookEvent.objects.count() == 2000


@pytest.mark.postgresql
def test_copies_do_not_wait_in_a_circle_with_the_worker_that_applies_what_they_are_copies_of(
    instance: Instance,
) -> None:
    both = rows(instance, "a", "b")
    insert.insert_events(both)
    with ThreadPoolExecutor(1) as threads:
        with transaction.atomic():
            WebhookEvent.objects.filter(digest="b").update(outcome="applied")
            copies = threads.submit(written, both)
            wait_until(waiting)
            WebhookEvent.objects.filter(digest="a").update(outcome="ignored")
        assert copies.exception(TIMEOUT_SECONDS) is None
    assert set(WebhookEvent.objects.values_list("digest", "outcome")) == {("a", "ignored"), ("b", "applied")}


def test_of_copies_only_those_are_due_again_whose_first_came_to_a_bad_end(instance: Instance) -> None:
    all_of_them = rows(instance, "applied", "failed", "stored", "unknown")
    insert.insert_events(all_of_them)
    for event in WebhookEvent.objects.all():
        event.outcome, event.attempts = event.digest, 3
        event.save()
    insert.insert_events([*all_of_them, *rows(instance, "new")])
    again = dict(WebhookEvent.objects.values_list("digest", "attempts"))
    assert again == {"applied": 3, "failed": 0, "stored": 3, "unknown": 0, "new": 0}
    assert set(WebhookEvent.objects.exclude(outcome="stored").values_list("digest", flat=True)) == {"applied"}
