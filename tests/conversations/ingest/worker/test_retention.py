"""Old applied events and pending updates are deleted in small steps; events that operators may need are kept."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.sessions.models import Session
from django.db import connection, connections, transaction
from django.utils import timezone

from conversations.ingest import metrics
from conversations.ingest.conf import Options
from conversations.ingest.worker import retention
from conversations.ingest.worker.worker import Worker
from conversations.models import Instance, Message, PendingUpdate, ReadingRecord, WebhookEvent
from logs.testing import capture
from tests.conversations.ingest.bodies import PHONE, envelope, text, texts
from tests.conversations.ingest.inboxes import NO_DELAY, store_all

pytestmark = pytest.mark.django_db

Outcome = WebhookEvent.Outcome


def delete_events(days: float, megabytes: int = 1) -> int:
    return retention.delete_events(days, megabytes)


def make_old(days: float) -> None:
    then = timezone.now() - dt.timedelta(days=days)
    WebhookEvent.objects.filter(finished_at__isnull=False).update(finished_at=then)
    WebhookEvent.objects.update(received_at=then)
    PendingUpdate.objects.update(created_at=then)


def test_applied_events_are_deleted_after_their_retention_time_in_small_steps(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "STEP_ROWS", 4)
    store_all(instance, *texts(10))
    Worker(NO_DELAY).drain()
    make_old(6.9)
    assert delete_events(7) == 0
    make_old(7.1)
    store_all(instance, *texts(2, first=10))
    Worker(NO_DELAY).drain()
    assert [delete_events(7) for _ in range(4)] == [4, 4, 2, 0]
    assert WebhookEvent.objects.count() == 2
    assert Message.objects.count() == 12


def test_events_that_were_replayed_recently_do_not_prevent_the_deletion_of_others(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "STEP_ROWS", 2)
    store_all(instance, *texts(10))
    Worker(NO_DELAY).drain()
    make_old(8)
    replayed = WebhookEvent.objects.order_by("pk").values_list("pk", flat=True)[:5]
    WebhookEvent.objects.filter(pk__in=list(replayed)).update(finished_at=timezone.now())
    assert sum(delete_events(7) for _ in range(5)) == 5
    assert WebhookEvent.objects.count() == 5


def finish(outcome: str, *instances: Instance) -> None:
    """Store an event of each instance, and give all events an outcome."""
    for number, instance in enumerate(instances):
        store_all(instance, *texts(1, first=number))
    WebhookEvent.objects.update(outcome=outcome, finished_at=timezone.now())


@pytest.mark.parametrize("outcome", [Outcome.STORED, Outcome.FAILED])
def test_events_that_were_not_applied_are_kept(instance: Instance, outcome: str) -> None:
    finish(outcome, instance)
    make_old(1000)
    assert delete_events(7) == 0
    assert WebhookEvent.objects.exists()


@pytest.mark.parametrize("outcome", [Outcome.UNKNOWN, Outcome.FOREIGN])
def test_unknown_and_foreign_events_are_kept_for_a_month_at_least(instance: Instance, outcome: str) -> None:
    finish(outcome, instance)
    make_old(29.9)
    assert delete_events(7) == 0
    make_old(30.1)
    assert delete_events(31) == 0
    assert delete_events(7) == 1


@pytest.mark.parametrize("outcome", [Outcome.UNKNOWN, Outcome.FOREIGN])
def test_an_instance_with_too_many_unknown_or_foreign_events_loses_its_oldest(
    instance: Instance, outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "REJECTED_ROWS", 3, raising=False)
    monkeypatch.setattr(retention, "STEP_ROWS", 2)
    other = Instance.objects.upsert("other")[0]
    finish(outcome, other, *[instance] * 5)
    newest = WebhookEvent.objects.order_by("-pk").values_list("pk", flat=True)[:2]
    expected = {WebhookEvent.objects.get(instance=other).pk, *newest}
    assert [delete_events(7) for _ in range(3)] == [2, 1, 0]
    assert set(WebhookEvent.objects.values_list("pk", flat=True)) == expected


@pytest.mark.parametrize("outcome", [Outcome.UNKNOWN, Outcome.FOREIGN])
def test_an_instance_with_too_large_unknown_or_foreign_events_loses_its_oldest(
    instance: Instance, outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """100,000 events may have 100 MB each."""
    monkeypatch.setattr(retention, "STEP_ROWS", 2)
    other = Instance.objects.upsert("other")[0]
    finish(outcome, *[instance] * 6, *[other] * 8)
    WebhookEvent.objects.filter(instance=instance).update(size=2**20)
    WebhookEvent.objects.filter(instance=other).update(size=2**16)
    expected = list(WebhookEvent.objects.order_by("pk").values_list("pk", flat=True)[4:])
    assert [delete_events(7, megabytes=3) for _ in range(3)] == [2, 2, 0]
    assert list(WebhookEvent.objects.order_by("pk").values_list("pk", flat=True)) == expected


def test_failed_events_stay_and_are_warned_of_once_an_hour(instance: Instance) -> None:
    finish(Outcome.FAILED, instance, instance)
    schedule = retention.Retention(Options(keep_mb=0))
    with capture() as lines:
        schedule.step()
        schedule.step()
    assert lines.one(message="Failed events LARGE")["size"] > 0
    assert WebhookEvent.objects.count() == 2


def test_an_event_without_a_finish_time_is_deleted_by_its_arrival_time(instance: Instance) -> None:
    store_all(instance, *texts(1))
    WebhookEvent.objects.update(outcome=Outcome.APPLIED, finished_at=None)
    assert delete_events(7) == 0
    make_old(8)
    assert delete_events(7) == 1


def test_a_pending_update_whose_message_never_comes_expires_and_is_counted(instance: Instance) -> None:
    store_all(instance, envelope("messages.delete", {"id": "NEVER", "remoteJid": PHONE, "fromMe": False}))
    Worker(NO_DELAY).drain()
    assert retention.expire_pending_updates(7) == 0
    make_old(7.1)
    assert retention.expire_pending_updates(7) == 1
    assert metrics.for_instance(instance.pk)["expired"] == 1
    assert not PendingUpdate.objects.exists()


def test_a_pending_update_that_was_applied_to_a_message_expires_uncounted(instance: Instance) -> None:
    edit = {"key": {"id": "M1"}, "type": 14, "editedMessage": {"conversation": "olá"}, "timestampMs": 5}
    store_all(instance, envelope("messages.edited", edit), text("M1"))
    Worker(NO_DELAY).drain()
    assert Message.objects.get().text == "olá"
    assert PendingUpdate.objects.count() == 1  # the edit names no chat and may match messages of other chats
    make_old(7.1)
    assert retention.expire_pending_updates(7) == 1
    assert "expired" not in metrics.for_instance(instance.pk)


def test_records_of_reading_are_deleted_after_their_retention_time(instance: Instance) -> None:
    now = timezone.now()
    for days in (9, 8, 6):
        ReadingRecord.objects.create(
            instance=instance, read_at=now - dt.timedelta(days=days), conversation_jid=f"{days}"
        )
    assert retention.delete_readings(7) == 2
    assert retention.delete_readings(7) == 0
    assert ReadingRecord.objects.get().conversation_jid == "6"


def test_ended_sessions_are_deleted_in_small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "STEP_ROWS", 2)
    for name, seconds in (("a", -60), ("b", -60), ("c", -60), ("open", 60)):
        end = timezone.now() + dt.timedelta(seconds=seconds)
        Session.objects.create(session_key=name, session_data="", expire_date=end)
    assert [retention.delete_sessions() for _ in range(3)] == [2, 1, 0]
    assert [row.session_key for row in Session.objects.all()] == ["open"]


def test_a_step_deletes_ended_sessions() -> None:
    Session.objects.create(session_key="a", session_data="", expire_date=timezone.now() - dt.timedelta(days=1))
    retention.Retention(Options.read()).step()
    assert not Session.objects.exists()


def test_after_a_step_the_next_one_waits(instance: Instance) -> None:
    store_all(instance, *texts(3))
    Worker(NO_DELAY).drain()
    make_old(8)
    schedule = retention.Retention(Options(keep_days=7))
    schedule.step()
    assert not WebhookEvent.objects.exists()
    store_all(instance, *texts(1, first=3))
    Worker(NO_DELAY).drain()
    make_old(8)
    schedule.step()  # deletes nothing, because the next deletion is not yet due
    assert WebhookEvent.objects.exists()


# --- locks ------------------------------------------------------------------------------------------------------------
def delete_events_without_waiting() -> int:
    """Delete old events in a thread whose statements fail if they wait for a lock."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = 1")  # milliseconds
        return delete_events(7)
    finally:
        connections.close_all()


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_events_that_another_transaction_has_locked_are_left_for_a_later_step(instance: Instance) -> None:
    """A step that waits for a row while it has locked other rows could deadlock."""
    store_all(instance, *texts(3))
    Worker(NO_DELAY).drain()
    make_old(8)
    with ThreadPoolExecutor(1) as threads:
        with transaction.atomic():
            repeated = WebhookEvent.objects.order_by("pk")[1]
            WebhookEvent.objects.filter(pk=repeated.pk).update(attempts=0)
            assert threads.submit(delete_events_without_waiting).result() == 2
        assert threads.submit(delete_events_without_waiting).result() == 1
