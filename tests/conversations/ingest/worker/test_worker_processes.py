"""Many workers, in threads and processes, apply each event promptly and exactly once, even if a worker is killed."""

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
from tests.conversations.ingest.bodies import connection_state, texts
from tests.conversations.ingest.inboxes import NO_DELAY, outcomes, store_all
from tests.conversations.ingest.processes import (
    INGEST_COMMAND,
    STALLED_WORKER,
    listener_pids,
    run_process,
    run_workers,
)
from tests.waiting import TIMEOUT, wait_until

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def no_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    """Disable the workers' polling, so that only notifications wake a worker."""
    monkeypatch.setattr("conversations.ingest.worker.worker.POLL_SECONDS", TIMEOUT)


def all_applied() -> bool:
    return not WebhookEvent.objects.filter(outcome="stored").exists()


# --- concurrency ------------------------------------------------------------------------------------------------------
def test_many_workers_apply_each_event_once(monkeypatch: pytest.MonkeyPatch) -> None:
    running: Counter[int] = Counter()
    concurrent: list[int] = []

    def count_running(instance: Instance, facts: Any) -> list[Message]:
        running[instance.pk] += 1
        if running[instance.pk] > 1:
            concurrent.append(instance.pk)
        new = apply(instance, facts)
        running[instance.pk] -= 1
        return new

    monkeypatch.setattr(batch, "apply", count_running)
    instances = [Instance.objects.create(name=f"sales-{n}") for n in range(4)]
    with run_workers(*[Worker(Options(window=0, interval=0, batch=7)) for _ in range(4)]):
        for body in texts(40):
            for instance in instances:
                store_all(instance, body, body)
            notify.notify()
        wait_until(all_applied)
    assert not concurrent
    for instance in instances:
        chat = Conversation.objects.get(instance=instance)
        assert (chat.messages.count(), chat.unread_count) == (40, 40)
        assert metrics.for_instance(instance.pk)["applied"] == 40


def test_instances_do_not_wait_for_one_another(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    barrier = threading.Barrier(2)

    def apply_concurrently(instance: Instance, facts: Any) -> list[Message]:
        barrier.wait(TIMEOUT)
        return apply(instance, facts)

    monkeypatch.setattr(batch, "apply", apply_concurrently)
    other = Instance.objects.create(name="support")
    store_all(instance, *texts(1))
    store_all(other, *texts(1))
    with run_workers(Worker(NO_DELAY), Worker(NO_DELAY)):
        wait_until(all_applied)
    assert Message.objects.count() == 2


def test_a_worker_skips_an_instance_whose_lease_another_worker_holds(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    has_begun, may_continue = threading.Event(), threading.Event()

    def apply_slowly(instance: Instance, facts: Any) -> list[Message]:
        has_begun.set()
        assert may_continue.wait(TIMEOUT)
        return apply(instance, facts)

    store_all(instance, *texts(1))
    with monkeypatch.context() as patch:
        patch.setattr(batch, "apply", apply_slowly)
        with run_workers(Worker(NO_DELAY)):
            assert has_begun.wait(TIMEOUT)
            assert batch.apply_due(instance.pk, NO_DELAY) == 0  # apply_due does not wait for the lease
            may_continue.set()
            wait_until(all_applied)


# --- notifications ----------------------------------------------------------------------------------------------------
@pytest.mark.usefixtures("no_poll")
def test_a_notification_wakes_a_waiting_worker(instance: Instance) -> None:
    with run_workers(Worker(NO_DELAY)):
        wait_until(listener_pids)
        for n in range(20):
            store_all(instance, *texts(1, first=n))
            notify.notify()
            wait_until(all_applied)
    assert Message.objects.count() == 20


@pytest.fixture
def web_background(monkeypatch: pytest.MonkeyPatch) -> Iterator[WebBackgroundThread]:
    """Run the background thread of a web process during a test."""
    delegate_to, has_delegated = notify.delegate_to, threading.Event()

    def delegate_and_report(event: threading.Event | None) -> None:
        delegate_to(event)
        has_delegated.set()

    monkeypatch.setattr(notify, "delegate_to", delegate_and_report)
    background = WebBackgroundThread()
    thread = threading.Thread(target=background.run)
    thread.start()
    assert has_delegated.wait(TIMEOUT)
    yield background
    background.stop()
    thread.join(TIMEOUT)


@pytest.mark.usefixtures("no_poll", "web_background")
def test_the_background_thread_also_notifies_about_the_last_event_of_a_burst(instance: Instance) -> None:
    with run_process(*INGEST_COMMAND, INGEST_INTERVAL="0"):
        wait_until(listener_pids)
        for n in range(5):
            for m in range(3):
                store_all(instance, *texts(1, first=3 * n + m))
                notify.notify()
            wait_until(all_applied)
    assert Message.objects.count() == 15


def test_the_background_thread_flushes_the_counters(instance: Instance, web_background: WebBackgroundThread) -> None:
    metrics.increment(instance.pk, "received")
    wait_until(metrics.totals)
    metrics.increment(instance.pk, "received")
    web_background.stop()
    wait_until(lambda: metrics.totals() == {"received": 2})


def test_without_a_notification_a_worker_polls(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conversations.ingest.worker.worker.POLL_SECONDS", 0.1)
    with run_workers(Worker(NO_DELAY)):
        wait_until(listener_pids)
        store_all(instance, *texts(1))  # stores an event without a PostgreSQL notification
        wait_until(all_applied)


@pytest.mark.usefixtures("no_poll")
def test_a_worker_listens_again_after_the_server_closed_its_connection(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("conversations.ingest.worker.worker.POLL_SECONDS", 0.05)
    with run_workers(Worker(NO_DELAY)):
        wait_until(listener_pids)
        (closed,) = listener_pids()
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [closed])
        store_all(instance, *texts(1))
        wait_until(all_applied)
        wait_until(lambda: listener_pids() and listener_pids() != [closed])
        monkeypatch.setattr("conversations.ingest.worker.worker.POLL_SECONDS", TIMEOUT)
        store_all(instance, *texts(1, first=1))
        notify.notify()
        wait_until(all_applied)


def test_a_worker_reconnects_after_the_server_closed_all_its_connections(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    for pause in ("POLL_SECONDS", "DATABASE_RETRY"):
        monkeypatch.setattr(f"conversations.ingest.worker.worker.{pause}", 0.1)
    with run_workers(Worker(NO_DELAY)):
        wait_until(listener_pids)
        for n in range(3):
            with connection.cursor() as cursor:
                query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
                cursor.execute(f"{query} AND pid <> pg_backend_pid()")
            store_all(instance, *texts(1, first=n))
            wait_until(all_applied)
    assert Message.objects.count() == Conversation.objects.get().unread_count == 3


# --- stopping ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_that_gets_a_signal_finishes_its_batch(instance: Instance, number: signal.Signals) -> None:
    store_all(instance, *texts(200))
    with run_process(*INGEST_COMMAND, INGEST_INTERVAL="0") as worker:
        wait_until(lambda: outcomes(instance).get("applied"))
        store_all(instance, *texts(300, first=200))
        worker.send_signal(number)
        assert worker.wait(TIMEOUT) == 0
    assert Message.objects.count() == outcomes(instance)["applied"] == metrics.totals()["applied"]
    Worker(NO_DELAY).drain()
    assert Message.objects.count() == Conversation.objects.get().unread_count == 500


def test_a_batch_of_a_killed_worker_is_rolled_back_and_applied_later(instance: Instance) -> None:
    store_all(instance, *texts(30))
    with run_process(*STALLED_WORKER) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "in the middle\n"
        assert (outcomes(instance), Message.objects.count(), metrics.totals()) == ({"stored": 30}, 0, {})
        worker.kill()
        worker.wait(TIMEOUT)
    Worker(NO_DELAY).drain()
    chat = Conversation.objects.get()
    assert (outcomes(instance), chat.messages.count(), chat.unread_count) == ({"applied": 30}, 30, 30)
    assert metrics.totals()["applied"] == 30


def test_repeatedly_killed_workers_apply_each_event_once(instance: Instance) -> None:
    other = Instance.objects.create(name="support")
    store_all(instance, *texts(400))
    store_all(other, *texts(400))
    for target in (100, 300, 500):
        with (
            run_process(*INGEST_COMMAND, INGEST_INTERVAL="0") as one,
            run_process(*INGEST_COMMAND, INGEST_INTERVAL="0") as two,
        ):
            wait_until(lambda target=target: Message.objects.count() >= target)  # type: ignore[misc]
            for worker in (one, two):
                worker.kill()
    Worker(NO_DELAY).drain()
    for row in (instance, other):
        chat = Conversation.objects.get(instance=row)
        assert (chat.messages.count(), chat.unread_count, metrics.for_instance(row.pk)["applied"]) == (400, 400, 400)


def test_the_last_state_is_applied_even_if_the_worker_is_killed_before_it_is_due(instance: Instance) -> None:
    with run_process(*INGEST_COMMAND) as worker:
        wait_until(listener_pids)
        store_all(instance, connection_state("close"), connection_state("open"))
        worker.kill()
        worker.wait(TIMEOUT)
    assert outcomes(instance) == {"stored": 2}
    with run_process(*INGEST_COMMAND) as worker:
        wait_until(all_applied)
    instance.refresh_from_db()
    assert instance.state == "open"


def test_a_worker_process_runs_at_low_priority(instance: Instance) -> None:
    store_all(instance, *texts(1))
    with run_process(*INGEST_COMMAND) as worker:
        wait_until(lambda: outcomes(instance) == {"applied": 1})
        assert os.getpriority(os.PRIO_PROCESS, worker.pid) == min(os.nice(0) + 10, 19)  # 19 is the lowest priority
