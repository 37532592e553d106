"""What the logs are told of events: in which context, of which event, by which request it came; and nobody's words."""

from typing import Any

import pytest
from django.db import OperationalError, connection

from conversations.evolution.facts import MessageCopy
from conversations.ingest.apply.apply import apply
from conversations.ingest.inbox.web_background import PeriodicTask
from conversations.ingest.worker import batch, schedule
from conversations.ingest.worker.worker import Worker
from conversations.models import Instance, WebhookEvent
from logs.binding import bound
from logs.testing import capture
from tests.conversations.ingest.inboxes import NO_DELAY, store_all, text, texts
from tests.conversations.ingest.streams import envelope
from tests.logs.conftest import throw

pytestmark = pytest.mark.django_db


@pytest.fixture
def instance() -> Instance:
    return Instance.objects.create(name="sales")


def put_by(request_id: str, instance: Instance, body: object) -> WebhookEvent:
    """Store an event as a request with that id does."""
    with bound(request_id=request_id):
        store_all(instance, body)
    return WebhookEvent.objects.latest("id")


def test_what_nobody_understands_is_told_of_evolution(instance: Instance) -> None:
    event = put_by("r1", instance, envelope("somebody.new", {}))
    half = put_by("r2", instance, envelope("messages.upsert", [text("M1")["data"], {"key": {"id": ""}}]))
    with capture() as logged:
        Worker(NO_DELAY).drain()
    for request_id, of in (("r1", event), ("r2", half)):
        line = logged.one(context="evolution", level="WARN", message="Event NOT UNDERSTOOD", request_id=request_id)
        assert (line["instance"], line["event"], line["event_id"]) == ("sales", of.name, of.pk)


def test_what_is_of_another_instance_is_told_of_the_webhook(instance: Instance) -> None:
    event = put_by("r1", instance, text("M1") | {"instance": "support"})
    with capture() as logged:
        Worker(NO_DELAY).drain()
    line = logged.one(context="webhook", level="WARN", message="Event FOREIGN", request_id="r1")
    assert (line["instance"], line["event_id"]) == ("sales", event.pk)


def test_what_comes_again_is_known_by_the_request_that_brought_it_last(instance: Instance) -> None:
    put_by("r1", instance, envelope("somebody.new", {}))
    Worker(NO_DELAY).drain()
    put_by("r2", instance, envelope("somebody.new", {}))
    with capture() as logged:
        Worker(NO_DELAY).drain()
    logged.one(context="evolution", request_id="r2")


def test_of_a_batch_only_what_cannot_be_applied_is_told_and_where_it_failed(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(instance: Instance, facts: Any) -> None:
        apply(instance, facts)
        if any(isinstance(fact, MessageCopy) and fact.key_id == "M3" for fact in facts):
            throw(KeyError("Bom dia!".upper()))

    monkeypatch.setattr(batch, "apply", broken)
    store_all(instance, *texts(8))
    event = WebhookEvent.objects.order_by("id")[3]
    with capture() as logged:
        Worker(NO_DELAY).drain()
    line = logged.one(level="ERROR")
    assert (line["context"], line["message"]) == ("WEBHOOK", "Event NOT APPLIED: KeyError")
    assert (line["instance"], line["event"], line["event_id"]) == ("sales", "messages.upsert", event.pk)
    assert "in throw" in line["stack"]
    assert "BOM DIA" not in str(logged)


def test_a_statement_that_fails_for_one_event_is_told_with_it(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT no_such_function()")

    monkeypatch.setattr(batch, "apply", broken)
    event = put_by("r1", instance, text("M1"))
    with capture() as logged:
        Worker(NO_DELAY).drain()
    assert logged.one(context="database", level="ERROR", request_id="r1")["event_id"] == event.pk


def test_a_worker_tells_what_it_waits_for_and_where(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Worker(NO_DELAY)
    errors = iter([OperationalError("Bom dia!"), RuntimeError("Bom dia!")])

    def faulty(**_: object) -> Any:
        if (error := next(errors, None)) is not None:
            throw(error)
        worker.stop()
        return schedule.Schedule((), 0.0)

    monkeypatch.setattr("conversations.ingest.worker.worker.DATABASE_RETRY", 0.0)
    monkeypatch.setattr(schedule, "find_due", faulty)
    monkeypatch.setattr(connection, "close", lambda: None)  # the test's own
    with capture() as logged:
        worker.run()
    for level, message in (("WARN", "Ingest WAITS"), ("FATAL", "Ingest FATAL")):
        line = logged.one(context="webhook", level=level, message=message)
        assert "in throw" in line["stack"]
    assert "Bom dia" not in str(logged)


def test_a_fault_of_ours_at_the_door_is_an_error_and_the_databases_absence_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "close", lambda: None)  # the test's own
    monkeypatch.setattr(connection, "is_usable", lambda: False)
    with capture() as logged:
        for error in (OperationalError("Bom dia!"), TypeError("Bom dia!")):
            PeriodicTask(lambda error=error: throw(error), 0.0).run_if_due()  # type: ignore[misc]
    assert "in throw" in logged.one(context="webhook", level="DEBUG", message="Door FAILED")["stack"]
    assert "in throw" in logged.one(context="webhook", level="ERROR", message="Door FAILED: TypeError")["stack"]
    assert "Bom dia" not in str(logged)
