"""A single worker applies due events in batches, and retries or fails events that cannot be applied."""

import datetime as dt
import itertools
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from django.db import DataError, OperationalError, connection, transaction
from django.db.models import F
from django.utils import timezone
from pytest_django import Settings

from conversations.evolution.facts import MessageCopy
from conversations.ingest import event_policy, metrics
from conversations.ingest.apply.apply import MAX_WEIGHT, apply
from conversations.ingest.conf import Options
from conversations.ingest.inbox.store import store_body
from conversations.ingest.worker import batch, schedule
from conversations.ingest.worker.worker import Worker
from conversations.models import Conversation, IngestLease, Instance, Message, WebhookEvent
from tests.conversations.ingest.bodies import PHONE, SECOND, connection_state, envelope, text, texts
from tests.conversations.ingest.inboxes import NO_DELAY, key_ids, outcomes, store_all

pytestmark = pytest.mark.django_db

Outcome = WebhookEvent.Outcome


@pytest.fixture
def failing_key_ids(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Return a set; applying a chat message whose key id the test adds to the set raises an error."""
    key_ids: set[str] = set()

    def apply_or_fail(instance: Instance, facts: Any) -> list[Message]:
        new = apply(instance, facts)  # the KeyError must roll back the applied facts
        if any(isinstance(fact, MessageCopy) and fact.key_id in key_ids for fact in facts):
            raise KeyError("Bom dia!")
        return new

    monkeypatch.setattr(batch, "apply", apply_or_fail)
    return key_ids


def make_due() -> None:
    """Make all stored events due now, to simulate that time has passed."""
    WebhookEvent.objects.filter(outcome=Outcome.STORED).update(due_at=timezone.now())
    IngestLease.objects.update(next_at=timezone.now())


# --- due times --------------------------------------------------------------------------------------------------------
def test_messages_are_due_at_once_and_states_at_the_end_of_their_debounce_window(instance: Instance) -> None:
    before = timezone.now()
    store_all(instance, text("M1"), connection_state(), envelope("presence.update", {}))
    message, *states = WebhookEvent.objects.order_by("id")
    assert message.due_at == message.received_at
    assert len({state.due_at for state in states}) == 1
    assert before < states[0].due_at <= states[0].received_at + dt.timedelta(seconds=Options().window)
    assert Worker().round()[0] == 1
    assert outcomes(instance) == {"applied": 1, "stored": 2}
    make_due()
    assert Worker().round()[0] == 2


def test_the_next_batch_of_an_instance_waits_for_the_interval(instance: Instance) -> None:
    worker = Worker(Options(interval=60))
    store_all(instance, *texts(3))
    assert worker.round()[0] == 3
    store_all(instance, *texts(2, first=3))
    applied, seconds = worker.round()
    assert applied == 0
    assert 0 < seconds <= 1
    assert batch.apply_due(instance.pk, Options()) == 0, (
        "a worker that already found the instance must not apply it either"
    )
    assert Message.objects.count() == 3
    IngestLease.objects.update(next_at=timezone.now())
    assert worker.round()[0] == 2
    assert metrics.for_instance(instance.pk)["delayed"] == 2


def test_the_longest_waiting_instance_is_first_and_one_that_must_wait_does_not_delay_others(instance: Instance) -> None:
    other, idle = (Instance.objects.create(name=name) for name in ("support", "idle"))
    store_all(other, text("M1"))
    store_all(instance, text("M1"), connection_state())
    assert schedule.find_due(Options()).ready == (other.pk, instance.pk)
    IngestLease.objects.create(instance=other, next_at=timezone.now() + dt.timedelta(minutes=1))
    due = schedule.find_due(Options())
    assert due.ready == (instance.pk,)
    assert 50 < due.next_due_in <= 60
    assert idle.pk not in due.ready
    assert set(schedule.find_due(Options(), ignore_schedule=True).ready) == {other.pk, instance.pk}


def test_without_stored_events_a_round_applies_nothing_and_waits_for_a_poll() -> None:
    assert schedule.find_due(Options()) == schedule.Schedule((), float("inf"))
    assert Worker().round() == (0, 1.0)
    assert Worker().drain() == 0


# --- batches ----------------------------------------------------------------------------------------------------------
def test_a_batch_has_at_most_the_configured_number_of_events_the_longest_waiting_first(instance: Instance) -> None:
    store_all(instance, *texts(7))
    assert batch.apply_due(instance.pk, Options(batch=3, interval=0)) == 3
    assert key_ids(WebhookEvent.objects.filter(outcome=Outcome.APPLIED).order_by("id")) == ["M0", "M1", "M2"]
    assert Worker(Options(batch=3)).drain() == 4


def test_the_total_size_of_a_batch_is_limited_but_a_larger_single_event_is_applied(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "MAX_BATCH_BYTES", 3000)
    store_all(instance, *[text(f"M{n}", body="x" * 1000) for n in range(4)], text("M4", body="x" * 100_000), text("M5"))
    sizes = []
    while applied := batch.apply_due(instance.pk, NO_DELAY):
        sizes.append(applied)
    assert sizes == [2, 2, 1, 1]


def test_the_facts_of_a_batch_are_limited_and_members_count_too(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "MAX_WEIGHT", 40)
    groups = [{"id": f"{number}@g.us", "participants": [f"{number}{n}@lid" for n in range(15)]} for number in range(5)]
    store_all(instance, *(envelope("groups.upsert", group) for group in groups))
    sizes = []
    while applied := batch.apply_due(instance.pk, NO_DELAY):
        sizes.append(applied)
    assert sizes == [2, 2, 1]
    monkeypatch.setattr(batch, "MAX_WEIGHT", 5)
    large = {"id": "9@g.us", "participants": groups[0]["participants"]}
    store_all(instance, text("M1"), envelope("groups.upsert", large), text("M2"))
    assert [batch.apply_due(instance.pk, NO_DELAY) for _ in range(4)] == [1, 1, 1, 0]


def test_another_instance_has_its_turn_between_the_parts_of_one_body(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "MAX_WEIGHT", 300)
    other = Instance.objects.create(name="support")
    groups = [{"id": f"{number}@g.us", "participants": [f"{number}{n}" for n in range(150)]} for number in range(6)]
    store_all(instance, envelope("groups.upsert", groups))
    store_all(other, text("M1"))
    Worker(NO_DELAY).round()
    assert outcomes(other) == {"applied": 1}
    assert outcomes(instance)["stored"] >= 2


@pytest.mark.parametrize("limit", ["events", "bytes", "facts", "parts"])
def test_an_instance_whose_batch_left_events_over_has_its_next_turn_at_once_but_after_others(
    instance: Instance, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = Options(interval=60, batch=2 if limit == "events" else 500)
    if limit == "bytes":
        monkeypatch.setattr(batch, "MAX_BATCH_BYTES", 1)
    if limit == "facts":
        monkeypatch.setattr(batch, "MAX_WEIGHT", 1)
    name = "messages.set" if limit == "parts" else "messages.upsert"
    store_all(instance, *(envelope(name, [text(f"M{n}")["data"]]) for n in range(3)))
    assert 0 < batch.apply_due(instance.pk, options) < 3
    other = Instance.objects.create(name="support")
    store_all(other, text("M1"))
    WebhookEvent.objects.filter(instance=other).update(due_at=F("due_at") - dt.timedelta(minutes=1))
    assert schedule.find_due(options).ready == (other.pk, instance.pk)
    worker = Worker(options)
    while worker.round()[0]:
        pass
    assert outcomes(instance) == {"applied": 3}
    store_all(instance, text("M3"))
    assert worker.round()[0] == 0, "the batch that left nothing over is followed by the interval"


@pytest.mark.parametrize("max_weight", [10, MAX_WEIGHT])
def test_an_import_is_applied_in_parts_and_does_not_delay_live_events(
    instance: Instance, max_weight: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "MAX_WEIGHT", max_weight)  # 10 is the weight of one part
    records = [text(f"H{n}", at=n)["data"] for n in range(50)]
    options = Options(chunk=10, interval=0, batch=5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("conversations.ingest.inbox.store.Options.read", lambda: options)
        digests = store_body(instance, envelope("messages.set", records, progress=40))
        assert store_body(instance, envelope("messages.set", records, progress=40)) == digests
    assert len(digests) == 5
    store_all(instance, text("LIVE0", at=100))
    history_counts = []
    for n in range(1, 6):
        batch.apply_due(instance.pk, options)
        # A live event that is stored during the history import is applied in the next batch.
        assert Message.objects.filter(key_id=f"LIVE{n - 1}").exists()
        history_counts.append(Message.objects.filter(is_history=True).count())
        store_all(instance, text(f"LIVE{n}", at=100 + n))
    assert history_counts == [10, 20, 30, 40, 50]
    assert {event.payload["progress"] for event in WebhookEvent.objects.filter(is_history=True)} == {40}


def test_a_part_that_cannot_be_applied_does_not_block_the_other_parts(
    instance: Instance, failing_key_ids: set[str]
) -> None:
    failing_key_ids.add("H17")
    records = [text(f"H{n}", at=n)["data"] for n in range(50)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("conversations.ingest.inbox.store.Options.read", lambda: Options(chunk=10))
        store_body(instance, envelope("messages.set", records))
    Worker(NO_DELAY).drain()
    assert Message.objects.count() == 40
    failing_key_ids.clear()
    make_due()
    Worker(NO_DELAY).round()
    assert Message.objects.count() == 50


def test_a_body_with_very_many_items_is_stored_in_a_limited_number_of_rows(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_policy, "MAX_PARTS", 7)
    assert len(store_body(instance, envelope("messages.set", [0] * 10_000))) == 7
    Worker(NO_DELAY).drain()
    assert set(outcomes(instance)) == {"unknown"}


# --- failures ---------------------------------------------------------------------------------------------------------
def test_an_event_that_cannot_be_applied_is_retried_and_the_others_are_applied_at_once(
    instance: Instance, failing_key_ids: set[str], caplog: pytest.LogCaptureFixture
) -> None:
    failing_key_ids |= {"M3", "M11"}
    store_all(instance, *texts(20))
    assert Worker(NO_DELAY).round()[0] == 20
    assert Message.objects.count() == 18
    assert Conversation.objects.get().unread_count == 18
    failed = WebhookEvent.objects.filter(outcome=Outcome.STORED).order_by("id")
    assert key_ids(failed) == ["M3", "M11"]
    assert [(event.attempts, event.reason) for event in failed] == [(1, "KeyError")] * 2
    assert all(event.due_at > timezone.now() for event in failed)
    assert "Bom dia" not in caplog.text
    assert Worker(NO_DELAY).round()[0] == 0, "the retries are not due yet"
    store_all(instance, *texts(5, first=20))
    assert Worker(NO_DELAY).round()[0] == 5
    failing_key_ids.clear()
    make_due()
    assert Worker(NO_DELAY).round()[0] == 2
    assert Message.objects.count() == Conversation.objects.get().unread_count == 25


def test_after_the_last_attempt_an_event_is_failed_and_no_longer_due(
    instance: Instance, failing_key_ids: set[str]
) -> None:
    failing_key_ids.add("M0")
    store_all(instance, *texts(2))
    delays = []  # lower and upper bound of the delay before each retry
    for _ in range(3):
        start = timezone.now()
        Worker(Options(attempts=3, interval=0)).round()
        due_at, end = WebhookEvent.objects.earliest("id").due_at, timezone.now()
        delays.append((due_at - end, due_at - start))
        make_due()
    event = WebhookEvent.objects.earliest("id")
    assert (event.outcome, event.attempts, event.reason) == ("failed", 3, "KeyError")
    assert event.finished_at is not None
    for (least, greatest), seconds in zip(delays[:2], (2, 4), strict=True):
        assert least <= dt.timedelta(seconds=seconds) <= greatest
    assert Worker(NO_DELAY).round()[0] == 0
    assert metrics.for_instance(instance.pk) == {"applied": 1, "failed": 1, "retried": 2, "delayed": 1}


def test_each_new_message_is_counted_once_unless_it_is_old(instance: Instance, failing_key_ids: set[str]) -> None:
    recent = int(timezone.now().timestamp()) - SECOND
    failing_key_ids.add("M3")
    copies = [text("M1", at=recent), text("M1", at=recent, pushName="Ana"), text("M2", at=recent)]
    store_all(instance, *copies, text("M3", at=recent), text("M0"))
    Worker(NO_DELAY).round()
    assert metrics.for_instance(instance.pk)["messages"] == 2
    store_all(instance, text("M2", at=recent, pushName="Bia"))
    Worker(NO_DELAY).round()
    assert metrics.for_instance(instance.pk)["messages"] == 2
    assert Message.objects.filter(instance=instance).count() == 3


def test_what_a_failed_batch_changed_of_the_instance_is_written_when_its_events_are_applied_alone(
    instance: Instance, failing_key_ids: set[str]
) -> None:
    failing_key_ids.add("M0")
    store_all(instance, envelope("connection.update", {"state": "open", "profileName": "Loja"}), text("M0"))
    make_due()
    Worker(NO_DELAY).round()
    instance.refresh_from_db()
    assert outcomes(instance) == {"applied": 1, "stored": 1}
    assert (instance.state, instance.profile_name, instance.own_names) == ("open", "Loja", ["Loja"])


def test_a_failed_event_that_is_posted_again_is_retried(instance: Instance, failing_key_ids: set[str]) -> None:
    failing_key_ids.add("M0")
    store_all(instance, *texts(1))
    Worker(Options(attempts=1, interval=0)).round()
    failing_key_ids.clear()
    assert outcomes(instance) == {"failed": 1}
    store_all(instance, *texts(1))
    Worker(NO_DELAY).round()
    event = WebhookEvent.objects.get()
    assert (event.outcome, event.attempts, event.reason) == ("applied", 0, "")


def test_a_database_error_that_one_event_causes_fails_only_that_event(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For some invalid statements, SQLite raises the same error class as for an unavailable database."""

    def apply_or_fail(instance: Instance, facts: Any) -> list[Message]:
        if any(isinstance(fact, MessageCopy) and fact.key_id == "M2" for fact in facts):
            with connection.cursor() as cursor:
                cursor.execute("SELECT no_such_function()")
        return apply(instance, facts)

    monkeypatch.setattr(batch, "apply", apply_or_fail)
    store_all(instance, *texts(5))
    Worker(NO_DELAY).round()
    assert outcomes(instance) == {"applied": 4, "stored": 1}


def test_a_batch_that_fails_as_a_whole_delays_only_its_instance(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Instance.objects.create(name="support")
    record_outcomes = batch.record_outcomes

    def fail_for_instance(items: Any, **options: Any) -> Any:
        if any(item.event.instance_id == instance.pk for item in items):
            raise DataError("a defect")
        return record_outcomes(items, **options)

    store_all(instance, *texts(3))
    store_all(other, *texts(3))
    worker = Worker(NO_DELAY)
    with monkeypatch.context() as patch:
        patch.setattr(batch, "record_outcomes", fail_for_instance)
        assert worker.round()[0] == 3
        assert worker.round() == (0, 1.0)
    assert (outcomes(instance), outcomes(other)) == ({"stored": 3}, {"applied": 3})
    assert metrics.totals() == {"applied": 3}
    assert Worker(NO_DELAY).round()[0] == 3


def test_after_a_round_that_applied_events_the_lock_of_sqlite_is_free_for_longer_than_others_poll(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, pauses = Worker(NO_DELAY), list[float]()

    def record(seconds: float) -> None:
        pauses.append(seconds)
        worker.stop()

    monkeypatch.setattr("conversations.ingest.worker.worker.sleep", record)
    monkeypatch.setattr(connection, "close", lambda: None)  # keep the test's connection open
    store_all(instance, *texts(3))
    worker.run()
    assert pauses == [0.15 if connection.vendor == "sqlite" else 0.05]


def test_no_error_ends_a_worker(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Worker(NO_DELAY)
    errors = iter([OperationalError("unavailable"), RuntimeError("a defect"), RecursionError()])
    find_due = schedule.find_due

    def fail_at_first(options: Options, *, ignore_schedule: bool = False) -> schedule.Schedule:
        for error in errors:
            raise error
        due = find_due(options, ignore_schedule=ignore_schedule)
        if not due.ready:
            worker.stop()
        return due

    for pause in ("POLL_SECONDS", "DATABASE_RETRY"):
        monkeypatch.setattr(f"conversations.ingest.worker.worker.{pause}", 0.0)
    monkeypatch.setattr(schedule, "find_due", fail_at_first)
    monkeypatch.setattr(connection, "close", lambda: None)  # keep the test's connection open
    store_all(instance, *texts(3))
    worker.run()
    assert outcomes(instance) == {"applied": 3}


def test_an_instance_that_is_deleted_meanwhile_is_skipped(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    store_all(instance, *texts(1))
    find_due = schedule.find_due

    def find_due_then_delete(options: Options, *, ignore_schedule: bool = False) -> schedule.Schedule:
        due = find_due(options, ignore_schedule=ignore_schedule)
        instance.delete()
        return due

    monkeypatch.setattr(schedule, "find_due", find_due_then_delete)
    assert Worker(NO_DELAY).round()[0] == 0


# --- counters ---------------------------------------------------------------------------------------------------------
def test_each_outcome_has_a_counter(instance: Instance, failing_key_ids: set[str]) -> None:
    failing_key_ids.add("M1")
    store_all(
        instance,
        *texts(3),
        *[connection_state() for _ in range(65)],
        envelope("chats.upsert", []),
        envelope("unknown.event", {}),
        text("F1") | {"instance": "support"},
    )
    Worker(NO_DELAY).drain()
    assert metrics.for_instance(instance.pk) == {
        "applied": 67,
        "coalesced": 64,
        "collapsed": 64,
        "foreign": 1,
        "ignored": 1,
        "retried": 1,
        "unknown": 1,
    }


def test_a_rolled_back_batch_is_not_counted(instance: Instance) -> None:
    store_all(instance, *texts(3))
    with transaction.atomic():
        assert batch.apply_due(instance.pk, NO_DELAY) == 3
        transaction.set_rollback(True)
    assert metrics.totals() == {}
    assert outcomes(instance) == {"stored": 3}
    Worker(NO_DELAY).drain()
    assert metrics.totals()["applied"] == 3


# --- repeated events --------------------------------------------------------------------------------------------------
def test_837_copies_of_one_message_are_one_row_and_one_unread(instance: Instance) -> None:
    """Issue 2675 of Evolution API describes these repeated webhooks, whose timestamps differ."""
    copies = [text("SAME", at=n) | {"date_time": f"2025-12-11T10:{n // 60:02}:{n % 60:02}.000Z"} for n in range(837)]
    store_all(instance, *copies)
    store_all(instance, *copies[::2])
    Worker(NO_DELAY).drain()
    (message,) = Message.objects.all()
    chat = Conversation.objects.get()
    assert chat.unread_count == 1
    assert chat.last_message == message
    assert message.timestamp.timestamp() == SECOND
    assert outcomes(instance) == {"applied": 837}


def count_writes(table: str, run: Callable[[], object]) -> int:
    """Return how many rows of a table a function inserts or updates."""
    written: Counter[str] = Counter()

    def watch(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:  # noqa: FBT001
        result = execute(sql, params, many, context)
        if sql.startswith((f'UPDATE "{table}"', f'INSERT INTO "{table}"')):
            written[table] += context["cursor"].rowcount
        return result

    with connection.execute_wrapper(watch):
        run()
    return written[table]


def test_many_connection_states_write_the_instance_once_per_window(instance: Instance, settings: Settings) -> None:
    settings.INGEST = {"WINDOW": 1.0}
    table = Instance._meta.db_table  # noqa: SLF001 - Django documents the attribute _meta
    for state in itertools.islice(itertools.cycle(["connecting", "close"]), 65 * 3):
        store_all(instance, connection_state(state))
    WebhookEvent.objects.update(due_at=timezone.now())
    windows = 0
    events = list(WebhookEvent.objects.order_by("id").values_list("pk", flat=True))
    WebhookEvent.objects.update(due_at=timezone.now() + dt.timedelta(hours=1))
    for start in range(0, len(events), 65):
        WebhookEvent.objects.filter(pk__in=events[start : start + 65]).update(due_at=timezone.now())
        assert count_writes(table, Worker(NO_DELAY).round) <= 1
        windows += 1
    assert windows == 3
    instance.refresh_from_db()
    assert instance.state == "connecting"


def test_a_connection_state_that_arrives_late_changes_nothing(instance: Instance) -> None:
    older, newer = connection_state("close"), connection_state("open")
    for body in (newer, older):
        store_all(instance, body)
        Worker(NO_DELAY).drain()
    instance.refresh_from_db()
    assert instance.state == "open"
    assert PHONE not in instance.owner_jid


# --- clock skew -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("ahead", [dt.timedelta(hours=1), dt.timedelta(days=365)])
def test_a_time_far_in_the_future_comes_from_clock_skew_and_is_due(ahead: dt.timedelta, instance: Instance) -> None:
    store_all(instance, *texts(2))
    Worker(NO_DELAY).drain()
    store_all(instance, *texts(3, first=2))
    later = timezone.now() + ahead  # a clock was ahead when it was set
    IngestLease.objects.update(next_at=later)
    WebhookEvent.objects.filter(outcome="stored").update(due_at=later)
    assert Worker(NO_DELAY).round()[0] == 3
    assert Message.objects.count() == 5
