"""One worker: what it applies, when, in which batches, and what becomes of what cannot be applied."""

import datetime as dt
import itertools
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from django.db import DataError, OperationalError, connection, transaction
from django.utils import timezone
from pytest_django import Settings

from conversations.evolution.facts import MessageCopy
from conversations.ingest import event_policy, metrics
from conversations.ingest.apply.apply import apply
from conversations.ingest.conf import Options, retry_after
from conversations.ingest.inbox.store import store_body
from conversations.ingest.worker import batch, schedule
from conversations.ingest.worker.worker import Worker
from conversations.models import Conversation, IngestLease, Instance, Message, WebhookEvent
from tests.conversations.ingest.inboxes import NO_DELAY, PHONE, connecting, key_ids, outcomes, store_all, text, texts
from tests.conversations.ingest.streams import envelope

pytestmark = pytest.mark.django_db

Outcome = WebhookEvent.Outcome


@pytest.fixture
def instance() -> Instance:
    return Instance.objects.create(name="sales")


@pytest.fixture
def poison(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Key ids of messages that cannot be applied."""
    found: set[str] = set()

    def applied(instance: Instance, facts: Any) -> None:
        apply(instance, facts)  # half done when it fails
        if any(isinstance(fact, MessageCopy) and fact.key_id in found for fact in facts):
            raise KeyError("Bom dia!")

    monkeypatch.setattr(batch, "apply", applied)
    return found


def make_due() -> None:
    """Let the time pass until everything is due."""
    WebhookEvent.objects.filter(outcome=Outcome.STORED).update(due_at=timezone.now())
    IngestLease.objects.update(next_at=timezone.now())


# --- when -------------------------------------------------------------------------------------------------------------
def test_messages_are_due_at_once_and_states_at_the_end_of_their_window(instance: Instance) -> None:
    before = timezone.now()
    store_all(instance, text("M1"), connecting(), envelope("presence.update", {}))
    message, *states = WebhookEvent.objects.order_by("id")
    assert message.due_at == message.received_at
    assert len({state.due_at for state in states}) == 1
    assert before < states[0].due_at <= states[0].received_at + dt.timedelta(seconds=Options().window)
    assert Worker().round()[0] == 1
    assert outcomes(instance) == {"applied": 1, "stored": 2}
    make_due()
    assert Worker().round()[0] == 2


@pytest.mark.parametrize(
    ("name", "waits"),
    [
        ("messages.upsert", False),
        ("send.message", False),
        ("messages.edited", False),
        ("send.message.update", False),
        ("messages.delete", False),
        ("messages.set", False),
        ("chats.delete", False),
        ("call", False),
        ("logout.instance", False),
        ("somebody.new", False),
        ("messages.update", True),
        ("contacts.update", True),
        ("contacts.upsert", True),
        ("chats.update", True),
        ("chats.upsert", True),
        ("presence.update", True),
        ("connection.update", True),
        ("qrcode.updated", True),
    ],
)
def test_only_what_is_a_latest_state_waits(name: str, waits: bool) -> None:  # noqa: FBT001 - a parameter of the test
    assert event_policy.is_latest_state(name, {"data": {"keyId": "A", "status": "READ"}}) is waits


@pytest.mark.parametrize("more", [{"message": {"editedMessage": {}}}, {"pollUpdates": [{}]}])
def test_an_acknowledgement_that_brings_an_edit_or_a_vote_does_not_wait(more: dict[str, Any]) -> None:
    for data in ({"keyId": "A", **more}, [{"keyId": "A"}, {"keyId": "B", **more}]):
        assert not event_policy.is_latest_state("messages.update", {"data": data})


def test_windows_follow_from_the_clock_alone_and_do_not_all_end_at_once() -> None:
    now = dt.datetime(2026, 1, 1, 12, 0, 0, 123456, dt.UTC)
    ends = [event_policy.due_at(now, 2.0, instance) for instance in range(100)]
    assert all(now < end <= now + dt.timedelta(seconds=2) for end in ends)
    assert len({end.microsecond // 20_000 for end in ends}) > 20
    for instance, end in enumerate(ends):
        just_before = end - dt.timedelta(microseconds=2)
        assert event_policy.due_at(max(now, just_before), 2.0, instance) == end
        assert event_policy.due_at(end, 2.0, instance) - end >= dt.timedelta(seconds=1.99)
    assert event_policy.due_at(now, 0, 7) == now


def test_an_instance_gets_its_next_batch_after_the_interval(instance: Instance) -> None:
    worker = Worker(Options(interval=60))
    store_all(instance, *texts(3))
    assert worker.round()[0] == 3
    store_all(instance, *texts(2, first=3))
    applied, seconds = worker.round()
    assert applied == 0
    assert 0 < seconds <= 1
    assert batch.apply_due(instance.pk, Options()) == 0, "nor from a worker that had looked before"
    assert Message.objects.count() == 3
    IngestLease.objects.update(next_at=timezone.now())
    assert worker.round()[0] == 2
    assert metrics.for_instance(instance.pk)["delayed"] == 2


def test_the_longest_waiting_instance_comes_first_and_others_are_not_kept_waiting(instance: Instance) -> None:
    other, idle = (Instance.objects.create(name=name) for name in ("support", "idle"))
    store_all(other, text("M1"))
    store_all(instance, text("M1"), connecting())
    assert schedule.find_due().ready == (other.pk, instance.pk)
    IngestLease.objects.create(instance=other, next_at=timezone.now() + dt.timedelta(hours=1))
    found = schedule.find_due()
    assert found.ready == (instance.pk,)
    assert 3500 < found.next_due_in <= 3600
    assert idle.pk not in found.ready
    assert set(schedule.find_due(ignore_schedule=True).ready) == {other.pk, instance.pk}


def test_where_nothing_waits_there_is_nothing_to_do() -> None:
    assert schedule.find_due() == schedule.Schedule((), float("inf"))
    assert Worker().round() == (0, 1.0)
    assert Worker().drain() == 0


# --- in which batches -------------------------------------------------------------------------------------------------
def test_a_batch_has_so_many_events_at_most_the_longest_waiting_first(instance: Instance) -> None:
    store_all(instance, *texts(7))
    assert batch.apply_due(instance.pk, Options(batch=3, interval=0)) == 3
    assert key_ids(WebhookEvent.objects.filter(outcome=Outcome.APPLIED).order_by("id")) == ["M0", "M1", "M2"]
    assert Worker(Options(batch=3)).drain() == 4


def test_a_batch_is_not_larger_than_memory_holds(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "MAX_BATCH_CHARS", 3000)
    store_all(instance, *[text(f"M{n}", body="x" * 1000) for n in range(4)], text("M4", body="x" * 100_000), text("M5"))
    sizes = []
    while applied := batch.apply_due(instance.pk, NO_DELAY):
        sizes.append(applied)
    assert sizes == [2, 2, 1, 1]


def test_an_import_is_applied_in_parts_and_delays_nothing_that_is_new(instance: Instance) -> None:
    records = [text(f"H{n}", at=n)["data"] for n in range(50)]
    options = Options(chunk=10, interval=0, batch=5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("conversations.ingest.inbox.store.Options.read", lambda: options)
        digests = store_body(instance, envelope("messages.set", records, progress=40))
        assert store_body(instance, envelope("messages.set", records, progress=40)) == digests
    assert len(digests) == 5
    store_all(instance, text("LIVE0", at=100))
    seen = []
    for n in range(1, 6):
        batch.apply_due(instance.pk, options)
        # Half way through the import something new comes in, and is there after the very next batch.
        assert Message.objects.filter(key_id=f"LIVE{n - 1}").exists()
        seen.append(Message.objects.filter(is_history=True).count())
        store_all(instance, text(f"LIVE{n}", at=100 + n))
    assert seen == [10, 20, 30, 40, 50]
    assert {event.payload["progress"] for event in WebhookEvent.objects.filter(is_history=True)} == {40}


def test_a_part_that_cannot_be_applied_holds_up_no_other_part(instance: Instance, poison: set[str]) -> None:
    poison.add("H17")
    records = [text(f"H{n}", at=n)["data"] for n in range(50)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("conversations.ingest.inbox.store.Options.read", lambda: Options(chunk=10))
        store_body(instance, envelope("messages.set", records))
    Worker(NO_DELAY).drain()
    assert Message.objects.count() == 40
    poison.clear()
    make_due()
    Worker(NO_DELAY).round()
    assert Message.objects.count() == 50


def test_a_body_of_very_many_items_is_a_bounded_number_of_rows(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_policy, "MAX_PARTS", 7)
    assert len(store_body(instance, envelope("messages.set", [0] * 10_000))) == 7
    Worker(NO_DELAY).drain()
    assert set(outcomes(instance)) == {"unknown"}


# --- what cannot be applied -------------------------------------------------------------------------------------------
def test_a_poisonous_event_is_tried_again_alone_and_the_others_are_applied_at_once(
    instance: Instance, poison: set[str], caplog: pytest.LogCaptureFixture
) -> None:
    poison |= {"M3", "M11"}
    store_all(instance, *texts(20))
    assert Worker(NO_DELAY).round()[0] == 20
    assert Message.objects.count() == 18
    assert Conversation.objects.get().unread_count == 18
    bad = WebhookEvent.objects.filter(outcome=Outcome.STORED).order_by("id")
    assert key_ids(bad) == ["M3", "M11"]
    assert [(event.attempts, event.reason) for event in bad] == [(1, "KeyError")] * 2
    assert all(event.due_at > timezone.now() for event in bad)
    assert "Bom dia" not in caplog.text
    assert Worker(NO_DELAY).round()[0] == 0, "not before its next try is due"
    store_all(instance, *texts(5, first=20))
    assert Worker(NO_DELAY).round()[0] == 5
    poison.clear()
    make_due()
    assert Worker(NO_DELAY).round()[0] == 2
    assert Message.objects.count() == Conversation.objects.get().unread_count == 25


def test_after_so_many_tries_it_is_kept_as_failed_until_it_is_replayed(instance: Instance, poison: set[str]) -> None:
    poison.add("M0")
    store_all(instance, *texts(2))
    waits = []
    for _ in range(3):
        began = timezone.now()
        Worker(Options(attempts=3, interval=0)).round()
        waits.append(round((WebhookEvent.objects.earliest("id").due_at - began).total_seconds()))
        make_due()
    event = WebhookEvent.objects.earliest("id")
    assert (event.outcome, event.attempts, event.reason) == ("failed", 3, "KeyError")
    assert event.finished_at is not None
    assert waits[:2] == [2, 4]
    assert Worker(NO_DELAY).round()[0] == 0
    assert metrics.for_instance(instance.pk) == {"applied": 1, "failed": 1, "retried": 2, "delayed": 1}


def test_waits_grow_up_to_an_hour() -> None:
    waits = [retry_after(attempts) for attempts in range(1, 40)]
    assert waits[0] == dt.timedelta(seconds=2)
    assert waits == sorted(waits)
    assert waits[-1] == dt.timedelta(hours=1)


def test_what_comes_again_after_it_failed_is_tried_again(instance: Instance, poison: set[str]) -> None:
    poison.add("M0")
    store_all(instance, *texts(1))
    Worker(Options(attempts=1, interval=0)).round()
    poison.clear()
    assert outcomes(instance) == {"failed": 1}
    store_all(instance, *texts(1))
    Worker(NO_DELAY).round()
    event = WebhookEvent.objects.get()
    assert (event.outcome, event.attempts, event.reason) == ("applied", 0, "")


def test_an_error_of_the_database_that_one_event_causes_is_that_events(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some databases say of a value that is too large that they cannot work: the event must not stop all others."""

    def applied(instance: Instance, facts: Any) -> None:
        if any(isinstance(fact, MessageCopy) and fact.key_id == "M2" for fact in facts):
            with connection.cursor() as cursor:
                cursor.execute("SELECT no_such_function()")
        apply(instance, facts)

    monkeypatch.setattr(batch, "apply", applied)
    store_all(instance, *texts(5))
    Worker(NO_DELAY).round()
    assert outcomes(instance) == {"applied": 4, "stored": 1}


def test_a_batch_that_fails_as_a_whole_puts_off_its_instance_and_no_other(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Instance.objects.create(name="support")
    settle = batch._settle  # noqa: SLF001 - where a fault of ours would be

    def broken(items: Any) -> Any:
        if any(item.event.instance_id == instance.pk for item in items):
            raise DataError("a fault of ours")
        return settle(items)

    store_all(instance, *texts(3))
    store_all(other, *texts(3))
    worker = Worker(NO_DELAY)
    with monkeypatch.context() as fault:
        fault.setattr(batch, "_settle", broken)
        assert worker.round()[0] == 3
        assert worker.round() == (0, 1.0)
    assert (outcomes(instance), outcomes(other)) == ({"stored": 3}, {"applied": 3})
    assert metrics.totals() == {"applied": 3}
    assert Worker(NO_DELAY).round()[0] == 3


def test_nothing_ends_a_worker_but_being_told_to_stop(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    worker = Worker(NO_DELAY)
    faults = iter([OperationalError("gone"), RuntimeError("ours"), RecursionError()])
    look = schedule.find_due

    def faulty(*, hurry: bool = False) -> schedule.Schedule:
        for fault in faults:
            raise fault
        found = look(ignore_schedule=hurry)
        if not found.ready:
            worker.stop()
        return found

    for pause in ("POLL_SECONDS", "DATABASE_RETRY"):
        monkeypatch.setattr(f"conversations.ingest.worker.worker.{pause}", 0.0)
    monkeypatch.setattr(schedule, "find_due", faulty)
    monkeypatch.setattr(connection, "close", lambda: None)  # the test's own
    store_all(instance, *texts(3))
    worker.run()
    assert outcomes(instance) == {"applied": 3}
    assert "the database does not answer: OperationalError" in caplog.text
    assert "FATAL: RuntimeError" in caplog.text


def test_an_instance_that_goes_is_nobodys_trouble(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    store_all(instance, *texts(1))
    look = schedule.find_due

    def and_gone(*, hurry: bool = False) -> schedule.Schedule:
        found = look(ignore_schedule=hurry)
        instance.delete()
        return found

    monkeypatch.setattr(schedule, "find_due", and_gone)
    assert Worker(NO_DELAY).round()[0] == 0


# --- the counts -------------------------------------------------------------------------------------------------------
def test_the_counts_say_what_has_happened(instance: Instance, poison: set[str]) -> None:
    poison.add("M1")
    store_all(
        instance,
        *texts(3),
        *[connecting() for _ in range(65)],
        envelope("chats.upsert", []),
        envelope("somebody.new", {}),
        text("F1") | {"instance": "somebody else"},
    )
    Worker(NO_DELAY).drain()
    assert metrics.for_instance(instance.pk) == {
        "applied": 67,
        "coalesced": 64,
        "foreign": 1,
        "ignored": 1,
        "retried": 1,
        "unknown": 1,
    }


def test_what_is_rolled_back_was_not_counted(instance: Instance) -> None:
    store_all(instance, *texts(3))

    with transaction.atomic():
        assert batch.apply_due(instance.pk, NO_DELAY) == 3
        transaction.set_rollback(True)
    assert metrics.totals() == {}
    assert outcomes(instance) == {"stored": 3}
    Worker(NO_DELAY).drain()
    assert metrics.totals()["applied"] == 3


@pytest.mark.django_db(transaction=True)
def test_what_the_door_has_counted_is_not_lost_with_an_instance_that_goes(instance: Instance) -> None:
    gone = Instance.objects.create(name="gone")
    metrics.reset_after_fork()
    for one in (gone, instance):
        metrics.increment(one.pk, "received")
    gone.delete()
    for _ in range(2):
        metrics.flush()
    assert metrics.for_instance(instance.pk) == {"received": 1}


def test_counts_of_the_door_wait_for_a_database_that_takes_them(instance: Instance) -> None:
    metrics.reset_after_fork()
    for name in ("received", "received", "delayed"):
        metrics.increment(instance.pk, name)

    def away(*_: object) -> None:
        raise OperationalError("gone")

    with connection.execute_wrapper(away), pytest.raises(OperationalError):
        metrics.flush()
    metrics.increment(instance.pk, "received")
    metrics.flush()
    assert metrics.for_instance(instance.pk) == {"delayed": 1, "received": 3}


# --- the storm --------------------------------------------------------------------------------------------------------
def test_837_copies_of_one_message_are_one_row_and_one_unread(instance: Instance) -> None:
    """As in Evolution's issue 2675: each copy with a timestamp of its own."""
    copies = [text("SAME", at=n) | {"date_time": f"2025-12-11T10:{n // 60:02}:{n % 60:02}.000Z"} for n in range(837)]
    store_all(instance, *copies)
    store_all(instance, *copies[::2])
    Worker(NO_DELAY).drain()
    (message,) = Message.objects.all()
    chat = Conversation.objects.get()
    assert chat.unread_count == 1
    assert chat.last_message == message
    assert message.timestamp.timestamp() == 1765458000
    assert outcomes(instance) == {"applied": 837}


def writes_to(table: str, run: Callable[[], object]) -> int:
    """How many rows of a table a piece of work writes."""
    written: Counter[str] = Counter()

    def watch(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:  # noqa: FBT001
        result = execute(sql, params, many, context)
        if sql.startswith((f'UPDATE "{table}"', f'INSERT INTO "{table}"')):
            written[table] += context["cursor"].rowcount
        return result

    with connection.execute_wrapper(watch):
        run()
    return written[table]


def test_a_storm_writes_the_instance_once_a_window(instance: Instance, settings: Settings) -> None:
    settings.INGEST = {"WINDOW": 1.0}
    table = Instance._meta.db_table  # noqa: SLF001 - Django's documented way to it
    for state in itertools.islice(itertools.cycle(["connecting", "close"]), 65 * 3):
        store_all(instance, connecting(state))
    WebhookEvent.objects.update(due_at=timezone.now())
    windows = 0
    events = list(WebhookEvent.objects.order_by("id").values_list("pk", flat=True))
    WebhookEvent.objects.update(due_at=timezone.now() + dt.timedelta(hours=1))
    for start in range(0, len(events), 65):
        WebhookEvent.objects.filter(pk__in=events[start : start + 65]).update(due_at=timezone.now())
        assert writes_to(table, Worker(NO_DELAY).round) <= 1
        windows += 1
    assert windows == 3
    instance.refresh_from_db()
    assert instance.state == "connecting"


def test_a_late_word_of_the_storm_changes_nothing(instance: Instance) -> None:
    older, newer = connecting("close"), connecting("open")
    for body in (newer, older):
        store_all(instance, body)
        Worker(NO_DELAY).drain()
    instance.refresh_from_db()
    assert instance.state == "open"
    assert PHONE not in instance.owner_jid


# --- a clock that was ahead -------------------------------------------------------------------------------------------
def test_what_was_put_off_by_a_clock_that_was_ahead_is_due(instance: Instance) -> None:
    store_all(instance, *texts(2))
    Worker(NO_DELAY).drain()
    store_all(instance, *texts(3, first=2))
    ahead = timezone.now() + dt.timedelta(days=365)
    IngestLease.objects.update(next_at=ahead)
    WebhookEvent.objects.filter(outcome="stored").update(due_at=ahead)
    assert Worker(NO_DELAY).round()[0] == 3
    assert Message.objects.count() == 5
