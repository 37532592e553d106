"""Each alarm is raised once, reaches people by e-mail and webhook, and recovers, over real servers and processes."""

import datetime as dt
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone
from django.utils.formats import date_format

from cachelayer.runtime.runtime import get_runtime
from conversations.ingest import metrics
from conversations.models import (
    ActiveHour,
    Alarm,
    AlarmMessage,
    CheckResult,
    Contact,
    IngestLease,
    Instance,
    RefusalMark,
    WebhookEvent,
    WebhookSubscription,
)
from conversations.monitoring import alarms, attention, audit, media, memory, rules, sending, state
from conversations.monitoring.details import translate_detail
from logs.testing import capture
from tests.cachelayer.conftest import (
    valkey_server,  # noqa: F401 - pytest finds the imported fixture by name
    wait_until_in_use,
)
from tests.conversations.changes.reading import settle
from tests.conversations.ingest.processes import INGEST_COMMAND, run_process
from tests.conversations.monitoring.receivers import MailHandler, Receiver, WebhookHandler, running, text_of
from tests.conversations.stored import is_stored
from tests.valkey import Valkey
from tests.waiting import TIMEOUT, wait_until

pytestmark = pytest.mark.django_db

CHANNELS = ("email", "webhook")
HOUR = dt.timedelta(hours=1)


@pytest.fixture
def mail(settings: Any) -> Iterator[Receiver]:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    with running(MailHandler) as server:
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
        yield server


@pytest.fixture
def hook(settings: Any) -> Iterator[Receiver]:
    with running(WebhookHandler) as server:
        settings.ALARM_WEBHOOK_URL = f"http://127.0.0.1:{server.port}/alarms"
        yield server


@pytest.fixture(autouse=True)
def _settings(settings: Any) -> None:
    settings.ALARM_CHANNELS = list(CHANNELS)
    settings.ALARM_EMAIL = ["ana@example.com", "rui@example.com"]
    settings.MONITORING_CHECKS = {"audit": 3600, "media": 60, "probe": 60}


def a_number(**fields: Any) -> Instance:
    return Instance.objects.create(name="sales", **{"state": "open", "owner_jid": "5511@s.whatsapp.net", **fields})


def evaluate() -> None:
    """Evaluate the rules twice, as if an hour had passed in between."""
    alarms.evaluate()
    Alarm.objects.filter(announced_at=None).update(since=timezone.now() - HOUR)
    alarms.evaluate()


# --- causes: each returns what ends it --------------------------------------------------------------------------------
def drop() -> Callable[[], object]:
    number = a_number(state="close")
    return lambda: Instance.objects.filter(pk=number.pk).update(state="open")


def fall_silent() -> Callable[[], object]:
    number, now = a_number(), timezone.now()
    IngestLease.objects.create(pk=number.pk, next_at=now - 5 * HOUR)
    for day in state.USUAL_DAYS:
        ActiveHour.objects.create(instance=number, hour=state.hour_of(now - day * 24 * HOUR))
    return lambda: IngestLease.objects.update(next_at=now)


def refuse() -> Callable[[], object]:
    number = a_number()
    alarms.evaluate()
    metrics.add_to_totals({(number.pk, "refused"): 1})
    return lambda: RefusalMark.objects.update(grew_at=timezone.now() - HOUR)


def stop_workers() -> Callable[[], object]:
    due_at = timezone.now() - HOUR
    WebhookEvent.objects.create(instance=a_number(), name="x", payload={}, digest="1", due_at=due_at)
    return lambda: WebhookEvent.objects.update(outcome="applied")


def lose_a_receiver() -> Callable[[], object]:
    row = WebhookSubscription.objects.create(
        user=User.objects.create_user("rui"),
        url="https://example.com/",
        cursor="",
        is_active=False,
        off_reason="it said no",
    )

    def turn_on() -> None:
        row.turn_on()
        row.save(update_fields=row.STATE)

    return turn_on


def fail_check(name: str) -> Callable[[], Callable[[], object]]:
    def fail() -> Callable[[], object]:
        audit.remember(name, "it said no", 1.0)
        return lambda: audit.remember(name, "", 1.0)

    return fail


CAUSES = {
    "disconnected": drop,
    "silent": fall_silent,
    "refused": refuse,
    "backlog": stop_workers,
    "webhook": lose_a_receiver,
    "probe": fail_check("probe"),
    "audit": fail_check("audit"),
}


@pytest.mark.parametrize("kind", CAUSES)
def test_an_alarm_is_raised_once_and_recovers(kind: str, mail: Receiver, hook: Receiver) -> None:
    check_that_it_is_raised_once_and_recovers(kind, CAUSES[kind](), mail, hook)


@pytest.mark.django_db(transaction=True)  # the recovery thread reads the outbox, which an open transaction may lock
def test_the_alarm_of_the_cache_is_raised_once_and_recovers(
    valkey_server: Valkey,  # noqa: F811 - the fixture
    mail: Receiver,
    hook: Receiver,
) -> None:
    runtime = get_runtime()
    valkey_server.kill()
    wait_until(lambda: not runtime.breaker.is_closed)

    def restart() -> None:
        valkey_server.start()
        wait_until_in_use(runtime)

    check_that_it_is_raised_once_and_recovers("cache", restart, mail, hook)


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_the_alarm_of_the_change_feed_is_raised_once_and_recovers(
    monkeypatch: pytest.MonkeyPatch, mail: Receiver, hook: Receiver
) -> None:
    monkeypatch.setattr(rules, "FEED_LAG_SECONDS", 0.0)
    settle()
    other = connection.copy()
    with other.cursor() as cursor:
        other.set_autocommit(False)
        cursor.execute("SELECT pg_current_xact_id()")
    a_number()  # its change is not readable before the other transaction has ended

    def end_transaction() -> None:
        other.close()
        settle()

    check_that_it_is_raised_once_and_recovers("feed", end_transaction, mail, hook)


def test_the_alarm_of_media_is_raised_once_and_recovers(
    settings: Any, tmp_path: Path, mail: Receiver, hook: Receiver
) -> None:
    folder = tmp_path / "media"
    folder.touch()  # a file in place of the folder: nothing can be written below it
    settings.MEDIA_ROOT = folder
    media.check()

    def make_room() -> None:
        folder.unlink()
        media.check()
        assert [path for path in folder.rglob("*") if path.is_file()] == []

    check_that_it_is_raised_once_and_recovers("media", make_room, mail, hook)


def check_that_it_is_raised_once_and_recovers(
    kind: str, cure: Callable[[], object], mail: Receiver, hook: Receiver
) -> None:
    with capture() as lines:
        for _ in range(3):
            evaluate()
            for channel in CHANNELS:
                sending.send_due(channel)
        assert [need.kind for need in attention.needs()] == [kind]
        cure()
        for _ in range(3):
            evaluate()
            for channel in CHANNELS:
                sending.send_due(channel)
        assert attention.needs() == []
    (alarm,) = Alarm.objects.all()
    assert (alarm.kind, alarm.ended_at is None) == (kind, False)
    raised, over = mail.received
    assert rules.TITLES[kind] in text_of(raised)
    check_that_it_says_everything(alarm, text_of(raised), hook.received[0])
    assert (raised["To"], "over: " in raised["Subject"]) == ("ana@example.com, rui@example.com", False)
    assert alarm.ended_at
    begin, end = (date_format(moment, "SHORT_DATETIME_FORMAT") for moment in (alarm.since, alarm.ended_at))
    assert f"{begin} to {end} UTC" in text_of(over)
    assert (text_of(over).startswith("Over: "), "over: " in over["Subject"]) == (True, True)
    assert [(one["alarms"][0]["kind"], one["alarms"][0]["state"]) for one in hook.received] == [
        (kind, "raised"),
        (kind, "ended"),
    ]
    assert [line["message"].partition(":")[0] for line in lines if line.get("alarm") == kind] == [
        "Alarm RAISED",
        "Alarm ENDED",
    ]


def check_that_it_says_everything(alarm: Alarm, text: str, posted: dict[str, Any]) -> None:
    """A person who is woken by the message needs no other page to begin."""
    advice, url = (
        rules.BY_KIND[alarm.kind].advice,
        f"{settings.PUBLIC_URL}/admin/conversations/alarm/{alarm.pk}/change/",
    )
    since = f"since {date_format(alarm.since, 'SHORT_DATETIME_FORMAT')} UTC"
    for part in (alarm.name or "The site", translate_detail(alarm.detail), since, advice, url):
        assert part in text
        assert part in posted["text"]
    assert (posted["alarms"][0]["advice"], posted["alarms"][0]["url"]) == (advice, url)


def test_a_short_drop_is_on_the_home_page_and_disturbs_nobody(hook: Receiver) -> None:
    cure = drop()
    alarms.evaluate()
    assert [need.title for need in attention.needs()] == [rules.TITLES["disconnected"]]
    cure()
    alarms.evaluate()
    assert not AlarmMessage.objects.exists()
    sending.send_due("webhook")
    assert hook.received == []


def test_attention_is_limited_to_the_instances_of_the_reader() -> None:
    number = a_number(state="close")
    audit.remember("audit", "it said no", 1.0)
    assert {need.kind for need in attention.needs()} == {"disconnected", "audit"}
    assert [need.instance_id for need in attention.needs({number.pk})] == [number.pk]
    assert attention.needs({number.pk + 1}) == []


def test_many_alarms_are_one_message(mail: Receiver) -> None:
    for number in range(50):
        Instance.objects.create(name=f"n{number}", state="close")
    evaluate()
    sending.send_due("email")
    (message,) = mail.received
    assert " ".join(message["Subject"].split()).endswith("and 49 more")
    assert text_of(message).count("not connected") == 50


def test_what_was_refused_long_before_the_first_evaluation_raises_no_alarm() -> None:
    number = a_number()
    Instance.objects.filter(pk=number.pk).update(created_at=timezone.now() - HOUR)
    metrics.add_to_totals({(number.pk, "refused"): 1})
    evaluate()
    assert attention.needs() == []


def test_the_first_webhook_of_a_new_number_raises_an_alarm_if_it_is_refused() -> None:
    metrics.add_to_totals({(a_number().pk, "refused"): 1})
    evaluate()
    assert [need.kind for need in attention.needs()] == ["refused"]


def test_a_channel_that_is_set_up_later_hears_of_open_alarms_once(
    settings: Any, mail: Receiver, hook: Receiver
) -> None:
    settings.ALARM_CHANNELS = ["webhook"]
    cure = drop()
    evaluate()
    sending.send_due("webhook")
    settings.ALARM_CHANNELS = list(CHANNELS)
    for _ in range(3):
        evaluate()
        for channel in CHANNELS:
            sending.send_due(channel)
    assert (len(mail.received), len(hook.received)) == (1, 1)
    cure()
    evaluate()
    for channel in CHANNELS:
        sending.send_due(channel)
    assert (len(mail.received), len(hook.received)) == (2, 2)


@pytest.mark.parametrize("status", [302, 500])
def test_a_server_that_refuses_is_tried_again_a_few_times(hook: Receiver, status: int) -> None:
    hook.status = status
    drop()
    evaluate()
    for _ in range(2 * sending.MAX_ATTEMPTS):
        sending.send_due("webhook")
        sending.send_due("webhook")  # it is not due yet
        AlarmMessage.objects.update(due_at=timezone.now())
    assert len(hook.received) == sending.MAX_ATTEMPTS
    assert not AlarmMessage.objects.exclude(sent_at=None).exists()


@pytest.mark.parametrize("attempts", [0, 1])
def test_a_host_whose_clock_was_ahead_delays_no_message(hook: Receiver, attempts: int) -> None:
    drop()
    evaluate()
    AlarmMessage.objects.update(due_at=timezone.now() + dt.timedelta(days=1), attempts=attempts)
    sending.send_due("webhook")
    assert len(hook.received) == 1


def test_old_messages_are_not_sent_when_a_channel_is_turned_on_again(hook: Receiver) -> None:
    drop()
    evaluate()
    AlarmMessage.objects.update(due_at=timezone.now() - dt.timedelta(days=2))
    sending.send_due("webhook")
    assert hook.received == []


def test_a_dead_mail_server_delays_no_webhook(settings: Any, hook: Receiver) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    with running(MailHandler) as server:
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
    drop()
    evaluate()
    with capture() as lines:
        sending.send_due("email")
        sending.send_due("webhook")
    assert len(hook.received) == 1
    assert [line["message"] for line in lines] == ["Alarm NOT SENT by email: ConnectionRefusedError; tried again later"]


def test_an_alarm_of_a_deleted_number_ends() -> None:
    number = a_number(state="close")
    evaluate()
    Instance.objects.delete(number.pk)
    alarms.evaluate()
    assert not Alarm.objects.filter(ended_at=None).exists()


def test_activity_is_remembered_for_eight_days() -> None:
    number, now = a_number(), timezone.now()
    IngestLease.objects.create(pk=number.pk, next_at=now + dt.timedelta(seconds=1))  # it is busy
    ActiveHour.objects.create(instance=number, hour=state.hour_of(now - 9 * 24 * HOUR))
    memory.remember_activity()
    memory.remember_activity()
    assert [row.hour for row in ActiveHour.objects.all()] == [state.hour_of(now)]


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_the_audit_finds_a_write_that_the_cache_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "GRACE_SECONDS", 0.0)
    number = a_number()
    contact = Contact.objects.create(instance=number, jid="551@s.whatsapp.net", name="before")
    wait_until(lambda: is_stored(contact))
    with connection.cursor() as cursor:
        cursor.execute("UPDATE conversations_contact SET name = 'after' WHERE id = %s", [contact.pk])

    def has_result() -> bool:
        audit.audit()
        return CheckResult.objects.exists()

    wait_until(has_result)  # an audit has none if the store answers late, as on a busy machine
    assert [need.kind for need in attention.needs()] == ["audit"]


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_processes_that_evaluate_at_once_raise_an_alarm_once() -> None:
    drop()
    alarms.evaluate()
    Alarm.objects.update(since=timezone.now() - HOUR)
    barrier = threading.Barrier(4)

    def work() -> None:
        barrier.wait()
        alarms.evaluate()
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Alarm.objects.count() == 1
    assert AlarmMessage.objects.count() == len(CHANNELS)


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_worker_process_sends_alarms(hook: Receiver) -> None:
    mark = RefusalMark.objects.create(instance=a_number(), value=0, grew_at=timezone.now())
    with run_process(*INGEST_COMMAND, ALARM_WEBHOOK_URL=f"http://127.0.0.1:{hook.port}/") as process:
        wait_until(lambda: hook.received)
        RefusalMark.objects.filter(pk=mark.pk).update(grew_at=None)
        wait_until(lambda: len(hook.received) == 2)
        process.terminate()
        assert process.wait(TIMEOUT) == 0
    assert [one["alarms"][0]["state"] for one in hook.received] == ["raised", "ended"]
