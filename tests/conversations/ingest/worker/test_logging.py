"""The worker logs each failed event with the event id and the request id, but never the text of a chat message."""

from typing import Any

import pytest
from django.db import OperationalError, connection

from conversations.evolution.facts import MessageCopy
from conversations.ingest.apply.apply import apply
from conversations.ingest.worker import batch, schedule
from conversations.ingest.worker.worker import Worker
from conversations.models import Instance, Message, WebhookEvent
from logs.binding import bound
from logs.testing import capture
from tests.conversations.ingest.bodies import envelope, text, texts
from tests.conversations.ingest.inboxes import NO_DELAY, store_all
from tests.logs.conftest import throw

pytestmark = pytest.mark.django_db


def store_as(request_id: str, instance: Instance, body: object) -> WebhookEvent:
    """Store a webhook body as in a request whose id is `request_id`."""
    with bound(request_id=request_id):
        store_all(instance, body)
    return WebhookEvent.objects.latest("id")


def test_an_event_that_is_not_understood_is_logged_with_its_request(instance: Instance) -> None:
    unknown = store_as("r1", instance, envelope("unknown.event", {}))
    partly = store_as("r2", instance, envelope("messages.upsert", [text("M1")["data"], {"key": {"id": ""}}]))
    with capture() as logged:
        Worker(NO_DELAY).drain()
    for request_id, event in (("r1", unknown), ("r2", partly)):
        line = logged.one(context="evolution", level="WARN", message="Event NOT UNDERSTOOD", request_id=request_id)
        assert (line["instance"], line["event"], line["event_id"]) == ("sales", event.name, event.pk)


def test_an_event_of_another_instance_is_logged(instance: Instance) -> None:
    event = store_as("r1", instance, text("M1") | {"instance": "support"})
    with capture() as logged:
        Worker(NO_DELAY).drain()
    line = logged.one(context="webhook", level="WARN", message="Event FOREIGN", request_id="r1")
    assert (line["instance"], line["event_id"]) == ("sales", event.pk)


def test_a_repeated_event_is_logged_with_its_last_request(instance: Instance) -> None:
    store_as("r1", instance, envelope("unknown.event", {}))
    Worker(NO_DELAY).drain()
    store_as("r2", instance, envelope("unknown.event", {}))
    with capture() as logged:
        Worker(NO_DELAY).drain()
    logged.one(context="evolution", request_id="r2")


def test_only_the_event_that_cannot_be_applied_is_logged_with_a_traceback(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail_for_one(instance: Instance, facts: Any) -> list[Message]:
        new = apply(instance, facts)
        if any(isinstance(fact, MessageCopy) and fact.key_id == "M3" for fact in facts):
            throw(KeyError("Bom dia!".upper()))
        return new

    monkeypatch.setattr(batch, "apply", fail_for_one)
    store_all(instance, *texts(8))
    event = WebhookEvent.objects.order_by("id")[3]
    with capture() as logged:
        Worker(NO_DELAY).drain()
    line = logged.one(level="ERROR")
    assert (line["context"], line["message"]) == ("WEBHOOK", "Event NOT APPLIED: KeyError")
    assert (line["instance"], line["event"], line["event_id"]) == ("sales", "messages.upsert", event.pk)
    assert "in throw" in line["stack"]
    assert "BOM DIA" not in str(logged)


def test_a_failed_statement_is_logged_with_its_event(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT no_such_function()")

    monkeypatch.setattr(batch, "apply", fail)
    event = store_as("r1", instance, text("M1"))
    with capture() as logged:
        Worker(NO_DELAY).drain()
    assert logged.one(context="database", level="ERROR", request_id="r1")["event_id"] == event.pk


def test_errors_of_the_worker_are_logged_with_a_traceback_and_without_their_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worker = Worker(NO_DELAY)
    errors = iter([OperationalError("Bom dia!"), RuntimeError("Bom dia!")])

    def fail_at_first(*_: object, **__: object) -> Any:
        if (error := next(errors, None)) is not None:
            throw(error)
        worker.stop()
        return schedule.Schedule((), 0.0)

    monkeypatch.setattr("conversations.ingest.worker.worker.DATABASE_RETRY", 0.0)
    monkeypatch.setattr(schedule, "find_due", fail_at_first)
    monkeypatch.setattr(connection, "close", lambda: None)  # keep the test's connection open
    with capture() as logged:
        worker.run()
    for level, message in (("WARN", "Ingest WAITS"), ("FATAL", "Ingest FATAL")):
        line = logged.one(context="webhook", level=level, message=message)
        assert "in throw" in line["stack"]
    assert "Bom dia" not in str(logged)
