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


def apply_with_failures(monkeypatch: pytest.MonkeyPatch, attempts: int) -> None:
    def fail(*_: Any) -> None:
        raise KeyError

    with monkeypatch.context() as patch:
        patch.setattr(batch, "apply", fail)
        Worker(Options(attempts=attempts, interval=0)).drain()


def test_drain_applies_all_events_without_waiting_for_debounce_windows(instance: Instance) -> None:
    store_all(instance, *texts(3), connection_state("open"))
    assert ingest("--drain") == "4 events applied\n"
    instance.refresh_from_db()
    assert instance.state == "open"


def test_the_status_without_events() -> None:
    assert "waiting events: 0" in ingest("--status")


def test_the_status_shows_waiting_and_failed_events_imports_and_counters(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_all(instance, *texts(2))
    apply_with_failures(monkeypatch, attempts=1)
    store_all(instance, text("RETRIED"))
    apply_with_failures(monkeypatch, attempts=8)
    with monkeypatch.context() as patch:
        patch.setattr("conversations.ingest.inbox.store.Options.read", lambda: Options(chunk=10))
        store_body(instance, envelope("messages.set", [text(f"H{n}", at=n)["data"] for n in range(35)]))
    batch.apply_due(instance.pk, NO_DELAY)
    metrics.reset_after_fork()
    metrics.increment(instance.pk, "received")
    metrics.flush()
    output = ingest("--status")
    assert "waiting events: 4, 1 of them after a failed attempt" in output
    assert "failed events: 2, 0.0 MB" in output
    assert "import into sales" in output
    assert "1 of 4 parts applied" in output
    for line in ("1  applied", "2  failed", "1  received", "1  retried"):
        assert line in output


def test_the_status_warns_of_what_hints_at_wrong_settings(instance: Instance) -> None:
    assert "warning" not in ingest("--status")
    Instance.objects.filter(pk=instance.pk).update(server_url="https://evo.example.com")
    foreign, elsewhere = {"instance": "support"}, {"server_url": "http://localhost:8080"}
    store_all(instance, text("A") | foreign, text("B") | elsewhere)
    store_all(instance, text("C") | {"server_url": "https://EVO.example.com/"})
    Worker(NO_DELAY).drain()
    for _ in range(3):
        metrics.increment(instance.pk, "refused")
    metrics.flush()
    lines = [line for line in ingest("--status").splitlines() if line.startswith("warning: ")]
    assert [line.split(" ")[1] for line in lines] == ["3", "1", "1"]
    assert all("sales https://evo.example.com" in line for line in lines)


def test_replay_without_ids_applies_all_failed_events_again(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_all(instance, *texts(3))
    apply_with_failures(monkeypatch, attempts=1)
    store_all(instance, envelope("somebody.new", {}))
    Worker(NO_DELAY).drain()
    assert ingest("--replay") == "3 events queued again\n"
    assert outcomes(instance) == {"stored": 3, "unknown": 1}
    ingest("--drain")
    assert outcomes(instance) == {"applied": 3, "unknown": 1}
    assert Message.objects.count() == 3


def test_replay_with_ids_applies_these_events_again(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    store_all(instance, *texts(3))
    apply_with_failures(monkeypatch, attempts=1)
    store_all(instance, envelope("somebody.new", {}), text("FINE", at=9))
    Worker(NO_DELAY).drain()
    first, *_, unknown, fine = WebhookEvent.objects.order_by("id").values_list("pk", flat=True)
    assert ingest("--replay", str(first), str(unknown), str(fine)) == "2 events queued again\n"
    assert outcomes(instance) == {"failed": 2, "stored": 2, "applied": 1}


def test_replay_applies_an_event_that_waits_for_its_retry(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    store_all(instance, *texts(1))
    apply_with_failures(monkeypatch, attempts=8)
    assert Worker(NO_DELAY).round()[0] == 0
    ingest("--replay", str(WebhookEvent.objects.get().pk))
    assert Worker(NO_DELAY).round()[0] == 1


def test_two_actions_are_an_error() -> None:
    with pytest.raises(CommandError, match="not allowed with"):
        ingest("--drain", "--status")
