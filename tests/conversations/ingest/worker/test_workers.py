"""Many workers, in threads and in processes: each event is applied once, at once, and whoever dies has done nothing."""

import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from conversations.ingest import metrics, notify
from conversations.ingest.apply.apply import apply
from conversations.ingest.conf import Options
from conversations.ingest.inbox.web_background import WebBackgroundThread
from conversations.ingest.worker import batch
from conversations.ingest.worker.worker import Worker
from conversations.models import Conversation, Instance, Message, WebhookEvent
from tests.conversations.ingest.inboxes import NO_DELAY, connecting, outcomes, store_all, texts
from tests.conversations.ingest.processes import INGEST_COMMAND, TIMEOUT_SECONDS, STALLED_WORKER, listener_pids, run_process, run_workers, wait_until

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def instance() -> Instance:
    return Instance.objects.create(name="sales")


@pytest.fixture
def no_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a word wakes a worker up."""
    monkeypatch.setattr("conversations.ingest.worker.worker.POLL_SECONDS", TIMEOUT_SECONDS)


def is_applied() -> bool:
    return not WebhookEvent.objects.filter(outcome="stored").exists()


# --- at once ----------------------------------------------------------------------------------------------------------
def test_many_workers_apply_each_event_once(monkeypatch: pytest.MonkeyPatch) -> None:
    busy: Counter[int] = Counter()
    doubled: list[int] = []

    def alone(instance: Instance, facts: Any) -> None:
        busy[instance.pk] += 1
        if busy[instance.pk] > 1:
            doubled.append(instance.pk)
        apply(instance, facts)
        busy[instance.pk] -= 1

    monkeypatch.setattr(batch, "apply", alone)
    instances = [Instance.objects.create(name=f"sales-{n}") for n in range(4)]
    with run_workers(*[Worker(Options(window=0, interval=0, batch=7)) for _ in range(4)]):
        for body in texts(40):
            for instance in instances:
                store_all(instance, body, body)
            notify.notify()
        wait_until(is_applied)
    assert not doubled
    for instance in instances:
        chat = Conversation.objects.get(instance=instance)
        assert (chat.messages.count(), chat.unread_count) == (40, 40)
        assert metrics.for_instance(instance.pk)["applied"] == 40


def test_instances_do_not_wait_for_one_another(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    both = threading.Barrier(2)

    def together(instance: Instance, facts: Any) -> None:
        both.wait(TIMEOUT_SECONDS)
        apply(instance, facts)

    monkeypatch.setattr(batch, "apply", together)
    other = Instance.objects.create(name="support")
    store_all(instance, *texts(1))
    store_all(other, *texts(1))
    with run_workers(Worker(NO_DELAY), Worker(NO_DELAY)):
        wait_until(is_applied)
    assert Message.objects.count() == 2


def test_an_instance_that_is_busy_is_left_to_who_has_it(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(instance: Instance, facts: Any) -> None:
        begun.set()
        assert go_on.wait(TIMEOUT_SECONDS)
        apply(instance, facts)

    store_all(instance, *texts(1))
    with monkeypatch.context() as patch:
        patch.setattr(batch, "apply", slow)
        with run_workers(Worker(NO_DELAY)):
            assert begun.wait(TIMEOUT_SECONDS)
            assert batch.apply_due(instance.pk, NO_DELAY) == 0  # returns, and does not wait
            go_on.set()
            wait_until(is_applied)


# --- how they are told ------------------------------------------------------------------------------------------------
@pytest.mark.usefixtures("no_poll")
def test_a_worker_that_waits_is_told_at_once(instance: Instance) -> None:
    with run_workers(Worker(NO_DELAY)):
        wait_until(listener_pids)
        for n in range(20):
            store_all(instance, *texts(1, first=n))
            notify.notify()
            wait_until(is_applied)
    assert Message.objects.count() == 20


@pytest.fixture
def door() -> Iterator[WebBackgroundThread]:
    """A server process' thread."""
    attending = WebBackgroundThread()
    thread = threading.Thread(target=attending.run)
    thread.start()
    wait_until(notify.is_left_to_another)
    yield attending
    attending.stop()
    thread.join(TIMEOUT_SECONDS)


@pytest.mark.usefixtures("no_poll", "door")
def test_the_door_tells_of_the_last_event_of_a_burst_too(instance: Instance) -> None:
    with run_process(*INGEST_COMMAND, INGEST_INTERVAL="0"):
        wait_until(listener_pids)
        for n in range(5):
            for m in range(3):
                store_all(instance, *texts(1, first=3 * n + m))
                notify.notify()
            wait_until(is_applied)
    assert Message.objects.count() == 15


def test_what_the_door_has_counted_is_added_up(instance: Instance, door: WebBackgroundThread) -> None:
    metrics.increment(instance.pk, "received")
    wait_until(metrics.totals)
    metrics.increment(instance.pk, "received")
    door.stop()
    wait_until(lambda: metrics.totals() == {"received": 2})


def test_without_a_word_it_looks_by_itself(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conversations.ingest.worker.worker.POLL_SECONDS", 0.1)
    with run_workers(Worker(NO_DELAY)):
        wait_until(listener_pids)
        store_all(instance, *texts(1))  # and nobody tells
        wait_until(is_applied)


@pytest.mark.usefixtures("no_poll")
def test_a_worker_whose_line_was_cut_is_told_again(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conversations.ingest.worker.worker.POLL_SECONDS", 0.05)
    with run_workers(Worker(NO_DELAY)):
        wait_until(listener_pids)
        (old,) = listener_pids()
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [old])
        store_all(instance, *texts(1))
        wait_until(is_applied)
        wait_until(lambda: listener_pids() and listener_pids() != [old])
        monkeypatch.setattr("conversations.ingest.worker.worker.POLL_SECONDS", TIMEOUT_SECONDS)
        store_all(instance, *texts(1, first=1))
        notify.notify()
        wait_until(is_applied)


def test_a_worker_whose_database_goes_away_finds_it_again(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    for pause in ("POLL_SECONDS", "DATABASE_RETRY"):
        monkeypatch.setattr(f"conversations.ingest.worker.worker.{pause}", 0.1)
    with run_workers(Worker(NO_DELAY)):
        wait_until(listener_pids)
        for n in range(3):
            with connection.cursor() as cursor:
                query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
                cursor.execute(f"{query} AND pid <> pg_backend_pid()")
            store_all(instance, *texts(1, first=n))
            wait_until(is_applied)
    assert Message.objects.count() == Conversation.objects.get().unread_count == 3


# --- how they end -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop_a_worker_finishes_its_batch(instance: Instance, number: signal.Signals) -> None:
    store_all(instance, *texts(200))
    with run_process(*INGEST_COMMAND, INGEST_INTERVAL="0") as worker:
        wait_until(lambda: outcomes(instance).get("applied"))
        store_all(instance, *texts(300, first=200))
        worker.send_signal(number)
        assert worker.wait(TIMEOUT_SECONDS) == 0
    told = outcomes(instance)
    assert Message.objects.count() == told["applied"] == metrics.totals()["applied"]
    Worker(NO_DELAY).drain()
    assert Message.objects.count() == Conversation.objects.get().unread_count == 500


def test_a_worker_killed_in_the_middle_of_a_batch_has_done_nothing_and_lost_nothing(instance: Instance) -> None:
    store_all(instance, *texts(30))
    with run_process(*STALLED_WORKER) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "in the middle\n"
        assert (outcomes(instance), Message.objects.count(), metrics.totals()) == ({"stored": 30}, 0, {})
        worker.kill()
        worker.wait(TIMEOUT_SECONDS)
    Worker(NO_DELAY).drain()
    chat = Conversation.objects.get()
    assert (outcomes(instance), chat.messages.count(), chat.unread_count) == ({"applied": 30}, 30, 30)
    assert metrics.totals()["applied"] == 30


def test_workers_killed_again_and_again_apply_each_event_once(instance: Instance) -> None:
    other = Instance.objects.create(name="support")
    store_all(instance, *texts(400))
    store_all(other, *texts(400))
    for target in (100, 300, 500):
        with run_process(*INGEST_COMMAND, INGEST_INTERVAL="0") as one, run_process(*INGEST_COMMAND, INGEST_INTERVAL="0") as two:
            wait_until(lambda target=target: Message.objects.count() >= target)  # type: ignore[misc]
            for worker in (one, two):
                worker.kill()
    Worker(NO_DELAY).drain()
    for of in (instance, other):
        chat = Conversation.objects.get(instance=of)
        assert (chat.messages.count(), chat.unread_count, metrics.for_instance(of.pk)["applied"]) == (400, 400, 400)


def test_the_last_state_is_applied_even_if_everything_is_killed_before_it_is_due(instance: Instance) -> None:
    with run_process(*INGEST_COMMAND) as worker:
        wait_until(listener_pids)
        store_all(instance, connecting("close"), connecting("open"))
        worker.kill()
        worker.wait(TIMEOUT_SECONDS)
    assert outcomes(instance) == {"stored": 2}
    with run_process(*INGEST_COMMAND) as worker:
        wait_until(is_applied)
    instance.refresh_from_db()
    assert instance.state == "open"


def test_a_worker_lets_others_on_its_machine_go_first(instance: Instance) -> None:
    store_all(instance, *texts(1))
    with run_process(*INGEST_COMMAND) as worker:
        wait_until(lambda: outcomes(instance) == {"applied": 1})
        assert os.getpriority(os.PRIO_PROCESS, worker.pid) == os.nice(0) + 10
