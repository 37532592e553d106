"""What is not kept for ever goes in small steps, and what someone may still need stays."""

import datetime as dt

import pytest
from django.utils import timezone

from conversations.ingest import metrics
from conversations.ingest.conf import Options
from conversations.ingest.worker import retention
from conversations.ingest.worker.worker import Worker
from conversations.models import Instance, Message, PendingUpdate, WebhookEvent
from tests.conversations.ingest.inboxes import NO_DELAY, PHONE, store_all, text, texts
from tests.conversations.ingest.streams import envelope

pytestmark = pytest.mark.django_db

Outcome = WebhookEvent.Outcome


@pytest.fixture
def instance() -> Instance:
    return Instance.objects.create(name="sales")


def make_old(days: float) -> None:
    then = timezone.now() - dt.timedelta(days=days)
    WebhookEvent.objects.filter(finished_at__isnull=False).update(finished_at=then)
    WebhookEvent.objects.update(received_at=then)
    PendingUpdate.objects.update(created_at=then)


def test_applied_events_go_after_their_time_in_small_steps(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "STEP_ROWS", 4)
    store_all(instance, *texts(10))
    Worker(NO_DELAY).drain()
    make_old(6.9)
    assert retention.remove_events(7) == 0
    make_old(7.1)
    store_all(instance, *texts(2, first=10))
    Worker(NO_DELAY).drain()
    assert [retention.remove_events(7) for _ in range(4)] == [4, 4, 2, 0]
    assert WebhookEvent.objects.count() == 2
    assert Message.objects.count() == 12


def test_events_that_were_tried_again_lately_keep_no_others(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "STEP_ROWS", 2)
    store_all(instance, *texts(10))
    Worker(NO_DELAY).drain()
    make_old(8)
    again = WebhookEvent.objects.order_by("pk").values_list("pk", flat=True)[:5]
    WebhookEvent.objects.filter(pk__in=list(again)).update(finished_at=timezone.now())
    assert sum(retention.remove_events(7) for _ in range(5)) == 5
    assert WebhookEvent.objects.count() == 5


@pytest.mark.parametrize("outcome", [Outcome.STORED, Outcome.FAILED, Outcome.UNKNOWN, Outcome.FOREIGN])
def test_what_someone_may_need_stays(instance: Instance, outcome: str) -> None:
    store_all(instance, *texts(1))
    WebhookEvent.objects.update(outcome=outcome, finished_at=timezone.now())
    make_old(1000)
    assert retention.remove_events(7) == 0
    assert WebhookEvent.objects.exists()


def test_an_event_of_before_the_upgrade_goes_by_its_arrival(instance: Instance) -> None:
    store_all(instance, *texts(1))
    WebhookEvent.objects.update(outcome=Outcome.APPLIED, finished_at=None)
    assert retention.remove_events(7) == 0
    make_old(8)
    assert retention.remove_events(7) == 1


def test_what_waits_for_a_message_that_never_comes_expires_and_is_counted(instance: Instance) -> None:
    store_all(instance, envelope("messages.delete", {"id": "NEVER", "remoteJid": PHONE, "fromMe": False}))
    Worker(NO_DELAY).drain()
    assert retention.expire_pending_updates(7) == 0
    make_old(7.1)
    assert retention.expire_pending_updates(7) == 1
    assert metrics.for_instance(instance.pk)["expired"] == 1
    assert not PendingUpdate.objects.exists()


def test_what_was_applied_and_waited_for_another_goes_uncounted(instance: Instance) -> None:
    said = {"key": {"id": "M1"}, "type": 14, "editedMessage": {"conversation": "olá"}, "timestampMs": 5}
    store_all(instance, envelope("messages.edited", said), text("M1"))
    Worker(NO_DELAY).drain()
    assert Message.objects.get().text == "olá"
    assert PendingUpdate.objects.count() == 1  # it names no chat: another one's message may be meant
    make_old(7.1)
    assert retention.expire_pending_updates(7) == 1
    assert "expired" not in metrics.for_instance(instance.pk)


def test_a_worker_does_it_beside_its_work(instance: Instance) -> None:
    store_all(instance, *texts(3))
    Worker(NO_DELAY).drain()
    make_old(8)
    keeping = retention.Retention(Options(keep_days=7))
    keeping.step()
    assert not WebhookEvent.objects.exists()
    store_all(instance, *texts(1, first=3))
    Worker(NO_DELAY).drain()
    make_old(8)
    keeping.step()  # not again at once
    assert WebhookEvent.objects.exists()
