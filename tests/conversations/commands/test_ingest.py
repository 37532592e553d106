from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from conversations.ingest import metrics
from conversations.ingest.conf import Options
from conversations.ingest.inbox.store import store_body
from conversations.ingest.worker import batch
from conversations.ingest.worker.worker import Worker
from conversations.models import Instance, Message, WebhookEvent
from tests.conversations.ingest.bodies import connection_state, envelope, text, texts
from tests.conversations.ingest.inboxes import NO_DELAY, outcomes, store_all

pytestmark = pytest.mark.django_db


@pytest.fixture
def instance() -> Instance:
    return Instance.objects.create(name="sales")


def ingest(*arguments: str) -> str:
    out = StringIO()
    call_command("ingest", *arguments, stdout=out)
    return out.getvalue()


def fail_all(monkeypatch: pytest.MonkeyPatch, attempts: int) -> None:
    def broken(*_: Any) -> None:
        raise KeyError

    with monkeypatch.context() as fault:
        fault.setattr(batch, "apply", broken)
        Worker(Options(attempts=attempts, interval=0)).drain()


def test_drain_applies_what_is_there_and_waits_for_no_window(instance: Instance) -> None:
    store_all(instance, *texts(3), connection_state("open"))
    assert ingest("--drain") == "4 events applied\n"
    instance.refresh_from_db()
    assert instance.state == "open"


def test_the_status_of_an_empty_inbox() -> None:
    assert "0 events wait" in ingest("--status")


def test_the_status_shows_what_waits_what_failed_how_far_imports_are_and_the_counts(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_all(instance, *texts(2))
    fail_all(monkeypatch, attempts=1)
    store_all(instance, text("RETRIED"))
    fail_all(monkeypatch, attempts=8)
    with monkeypatch.context() as patch:
        patch.setattr("conversations.ingest.inbox.store.Options.read", lambda: Options(chunk=10))
        store_body(instance, envelope("messages.set", [text(f"H{n}", at=n)["data"] for n in range(35)]))
    batch.apply_due(instance.pk, NO_DELAY)
    metrics.reset_after_fork()
    metrics.increment(instance.pk, "received")
    metrics.flush()
    told = ingest("--status")
    assert "4 events wait" in told
    assert "1 of them have failed before" in told
    assert "2 events have failed for good" in told
    assert "into sales: 1 of 4 parts are applied" in told
    for line in ("1  applied", "2  failed", "1  received", "1  retried"):
        assert line in told


def test_replay_lets_all_that_failed_be_tried_again(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    store_all(instance, *texts(3))
    fail_all(monkeypatch, attempts=1)
    store_all(instance, envelope("somebody.new", {}))
    Worker(NO_DELAY).drain()
    assert ingest("--replay") == "3 events are due again\n"
    assert outcomes(instance) == {"stored": 3, "unknown": 1}
    ingest("--drain")
    assert outcomes(instance) == {"applied": 3, "unknown": 1}
    assert Message.objects.count() == 3


def test_replay_takes_the_numbers_of_events(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    store_all(instance, *texts(3))
    fail_all(monkeypatch, attempts=1)
    store_all(instance, envelope("somebody.new", {}), text("FINE", at=9))
    Worker(NO_DELAY).drain()
    first, *_, unknown, fine = WebhookEvent.objects.order_by("id").values_list("pk", flat=True)
    assert ingest("--replay", str(first), str(unknown), str(fine)) == "2 events are due again\n"
    assert outcomes(instance) == {"failed": 2, "stored": 2, "applied": 1}


def test_replay_makes_a_waiting_retry_due_now(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    store_all(instance, *texts(1))
    fail_all(monkeypatch, attempts=8)
    assert Worker(NO_DELAY).round()[0] == 0
    ingest("--replay", str(WebhookEvent.objects.get().pk))
    assert Worker(NO_DELAY).round()[0] == 1


def test_it_does_one_thing_at_a_time() -> None:
    with pytest.raises(CommandError, match="not allowed with"):
        ingest("--drain", "--status")
