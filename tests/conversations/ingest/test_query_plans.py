"""Ingestion queries the table of stored events without sequential scans, even with many finished events."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection, transaction
from pytest_django import DjangoDbBlocker

from conversations.ingest import status
from conversations.ingest.conf import Options
from conversations.ingest.inbox.overload import queue_depth
from conversations.ingest.worker import batch, replay, retention, schedule
from conversations.models import Instance, WebhookEvent

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db]

FINISHED = 30_000
FILL = """
INSERT INTO conversations_webhookevent (instance_id, name, payload, digest, outcome, reason, received_at, due_at,
    finished_at, attempts, is_history, part, parts, size, request_id)
SELECT %(first)s + g %% 50, 'messages.upsert', '{{}}', '{outcome}' || g, '{outcome}', '', now(), now(), now(), 0,
    g %% 500 = 0, 1, 1, 2, ''
FROM generate_series(1, {count}) AS g
"""


@pytest.fixture(scope="module")
def busy_instance(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Instance]:  # noqa: ARG001
    """Create fifty instances with many events, few of them unfinished; return the first instance."""
    with django_db_blocker.unblock(), transaction.atomic():
        first, *_ = Instance.objects.bulk_create([Instance(name=f"sales-{n}") for n in range(50)])
        with connection.cursor() as cursor:
            for outcome, count in (("applied", FINISHED), ("stored", 600), ("failed", 20)):
                cursor.execute(FILL.format(outcome=outcome, count=count), {"first": first.pk})
            cursor.execute("ANALYZE conversations_webhookevent")
        yield first
        transaction.set_rollback(True)


QUERIES: dict[str, Callable[[Instance], object]] = {
    "find due instances": lambda _: schedule.find_due(Options()),
    "find due events": lambda instance: batch.find_due_events(instance, Options(), ignore_schedule=False),
    "queue depth": lambda _: queue_depth.refresh(),
    "retention": lambda _: retention.delete_events(1, 1),
    "status": lambda _: status.read(),
    "status of one instance": lambda instance: status.read([instance.pk]),
    "status of several instances": lambda instance: status.read([instance.pk, instance.pk + 1]),
    "replay": lambda _: replay.requeue(),
}


@pytest.mark.parametrize("name", QUERIES)
def test_no_query_scans_all_events(busy_instance: Instance, name: str) -> None:
    scans: list[str] = []

    def explain(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:  # noqa: FBT001
        if sql.lstrip().startswith(("SELECT", "WITH", "UPDATE", "DELETE")):
            execute(f"EXPLAIN {sql}", params, many, context)
            scans.extend(line.strip() for (line,) in context["cursor"].fetchall() if "Scan" in line)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explain), transaction.atomic():
        QUERIES[name](busy_instance)
        transaction.set_rollback(True)
    scans_of_events = [line for line in scans if WebhookEvent._meta.db_table in line]  # noqa: SLF001 - Django documents the attribute _meta
    assert scans_of_events
    assert not [line for line in scans_of_events if "Seq Scan" in line]
