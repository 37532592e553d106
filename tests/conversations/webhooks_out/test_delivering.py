"""A receiver gets each change in order and at least once, whatever fails, and nothing that its user may not read."""

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.utils import timezone

from conversations.changes import history
from conversations.models import (
    Contact,
    DeliveryAttempt,
    Instance,
    Membership,
    Message,
    Role,
    WebhookSubscription,
)
from conversations.models.webhook_subscription import KEPT_ATTEMPTS
from conversations.monitoring import state
from conversations.webhooks_out import delivering
from conversations.webhooks_out.claims import CLAIM, Claims
from tests.conversations.rows import a_chat, a_contact, a_message, an_instance
from tests.conversations.webhooks_out.delivery import a_webhook, attempt, deliver, make_due, outcomes, prepare
from tests.conversations.webhooks_out.receiver import Receiver, a_receiver, status

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def private(settings: LazySettings) -> None:
    settings.WEBHOOKS_ALLOW_PRIVATE = True


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with a_receiver() as one:
        yield one


@pytest.fixture
def root() -> User:
    return User.objects.create_superuser("root")


@pytest.fixture
def instance() -> Instance:
    return an_instance()


def changes(receiver: Receiver) -> list[tuple[Any, ...]]:
    """Return resource, kind and id of all changes that were received."""
    pages = [one.content["data"] for one in receiver.received if one.content["type"] == "changes"]
    return [(change["resource"], change["kind"], change["id"]) for page in pages for change in page["results"]]


def test_changes_arrive_with_their_rows(root: User, instance: Instance, receiver: Receiver) -> None:
    row = a_webhook(root, receiver)
    contact = a_contact(instance, push_name="Ana")

    deliver(row)

    (received,) = receiver.received
    (change,) = received.content["data"]["results"]
    assert received.content["type"] == "changes"
    assert (change["resource"], change["kind"], change["row"]["push_name"]) == ("contact", "created", "Ana")
    assert change["id"] == contact.pk
    assert outcomes(row) == [(204, "")]
    deliver(row)
    assert len(receiver.received) == 1


def test_a_failed_delivery_is_repeated_with_the_same_id_and_nothing_overtakes_it(
    root: User, instance: Instance, receiver: Receiver
) -> None:
    row = a_webhook(root, receiver)
    contact = a_contact(instance)
    receiver.answers = [status(500), status(500)]

    deliver(row)
    deliver(row)  # waits
    assert (row.failures, len(receiver.received)) == (1, 1)
    make_due(row)
    deliver(row)
    assert row.failures == 2
    assert row.failing_since is not None
    make_due(row)
    deliver(row)

    assert len(set(receiver.identities)) == 1
    assert changes(receiver) == [("contact", "created", contact.pk)] * 3
    assert row.failures == 0
    assert (row.delivered_at is None, row.failing_since is None) == (False, True)
    assert outcomes(row) == [(500, "answered 500"), (500, "answered 500"), (204, "")]


def test_a_repetition_with_more_changes_has_another_id(root: User, instance: Instance, receiver: Receiver) -> None:
    """Otherwise a receiver that drops ids that it knows would never apply the second change."""
    row = a_webhook(root, receiver)
    a_contact(instance)
    receiver.answers = [status(500)]
    deliver(row)
    a_contact(instance)
    make_due(row)
    deliver(row)

    assert len(set(receiver.identities)) == 2
    assert [len(one.content["data"]["results"]) for one in receiver.received] == [1, 2]


def test_a_receiver_that_is_gone_turns_its_webhook_off(root: User, instance: Instance, receiver: Receiver) -> None:
    row = a_webhook(root, receiver)
    a_contact(instance)
    receiver.answers = [status(410)]

    deliver(row)

    assert not row.is_active
    assert "410" in row.off_reason
    assert state.read().lost_webhooks == (str(row),)  # raises an alarm
    row.turn_on()
    row.save()
    deliver(row)
    assert outcomes(row)[-1] == (204, "")


def test_a_day_of_failures_turns_a_webhook_off(
    root: User, instance: Instance, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    row = a_webhook(root, receiver, failing_since=timezone.now() - dt.timedelta(days=1), failures=20)
    a_contact(instance)
    receiver.answers = [status(500)]

    deliver(row)

    assert not row.is_active
    assert "for a day" in row.off_reason
    assert "Webhook turned OFF" in caplog.text
    assert row.secret not in caplog.text


def test_only_wanted_changes_are_sent(root: User, instance: Instance, receiver: Receiver) -> None:
    row = a_webhook(root, receiver, events=["message.created"], instance_ids=[instance.pk])
    message = a_message(a_chat(instance))
    a_message(a_chat(an_instance()))
    deliver(row)
    message.save()
    deliver(row)

    assert changes(receiver) == [("message", "created", message.pk)]
    deliver(row)
    assert len(receiver.received) == 1


def test_a_user_gets_only_what_the_user_may_read_now(instance: Instance, receiver: Receiver) -> None:
    bia = User.objects.create_user("bia")
    role = Membership.objects.create(user=bia, instance=instance, role=Role.READER)
    row = a_webhook(bia, receiver)
    contact, foreign = a_contact(instance), a_contact(an_instance())

    deliver(row)
    assert changes(receiver) == [("contact", "created", contact.pk)]
    role.delete()
    contact.save()
    foreign.save()
    deliver(row)
    assert changes(receiver)[1:] == [(None, "reset", None)]
    contact.save()
    deliver(row)
    assert len(receiver.received) == 2


def test_the_webhook_of_an_inactive_user_is_turned_off(root: User, instance: Instance, receiver: Receiver) -> None:
    row = a_webhook(root, receiver)
    User.objects.filter(pk=root.pk).update(is_active=False)
    a_contact(instance)

    deliver(row)

    assert (row.is_active, receiver.received) == (False, [])
    assert row.off_reason == delivering.USER_ENDED


def test_a_restored_database_tells_receivers_to_begin_anew(root: User, instance: Instance, receiver: Receiver) -> None:
    row = a_webhook(root, receiver, events=["message.created"])
    history.only_row().delete()
    message = a_message(a_chat(instance))

    deliver(row)
    assert changes(receiver) == [(None, "reset", None)]
    message.delete()
    other = a_message(a_chat(instance))
    deliver(row)
    assert changes(receiver)[1:] == [("message", "created", other.pk)]


def test_a_test_is_sent_while_the_webhook_waits(root: User, instance: Instance, receiver: Receiver) -> None:
    row = a_webhook(root, receiver)
    a_contact(instance)
    receiver.answers = [status(500)]
    deliver(row)
    WebhookSubscription.objects.filter(pk=row.pk).update(test_requested=True)

    deliver(row)

    assert [one.content["type"] for one in receiver.received] == ["changes", "test"]
    assert (row.test_requested, row.failures) == (False, 1)
    assert set(DeliveryAttempt.objects.values_list("kind", flat=True)) == {"changes", "test"}


def test_many_changes_are_sent_in_parts_in_order(root: User, instance: Instance, receiver: Receiver) -> None:
    row = a_webhook(root, receiver)
    rows = Contact.objects.bulk_create(Contact(instance=instance, jid=f"{number}@lid") for number in range(450))

    deliver(row)

    assert [pk for _, _, pk in changes(receiver)] == [one.pk for one in rows]
    assert [one.content["data"]["has_more"] for one in receiver.received] == [True, True, False]


# --- several workers, and changes meanwhile ---------------------------------------------------------------------------
def test_one_worker_delivers_at_a_time_and_another_takes_over(
    root: User, instance: Instance, receiver: Receiver
) -> None:
    row = a_webhook(root, receiver)
    first, second = Claims(), Claims()
    assert [one.pk for one in first.renew()] == [row.pk]
    assert second.renew() == []
    a_contact(instance)
    assert prepare(row, second) is None
    late = prepare(row, first)
    assert late is not None

    WebhookSubscription.objects.update(claimed_until=timezone.now() - CLAIM)  # the first worker hangs
    assert [one.pk for one in second.renew()] == [row.pk]
    other = a_contact(instance)
    while (delivery := prepare(row, second)) is not None:
        attempt(delivery)
    row.refresh_from_db()
    cursor = row.cursor
    attempt(late)  # the first worker goes on: its changes come once more, and the position stays

    row.refresh_from_db()
    assert row.cursor == cursor
    assert ("contact", "created", other.pk) in changes(receiver)
    assert len(outcomes(row)) == 2


@pytest.mark.parametrize("error", [dt.timedelta(hours=-1), dt.timedelta(hours=1)])
def test_a_worker_with_a_wrong_clock_takes_no_webhook_of_another(
    error: dt.timedelta, root: User, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = a_webhook(root, receiver)
    first, second = Claims(), Claims()
    assert [one.pk for one in first.renew()] == [row.pk]
    with monkeypatch.context() as patch:
        wrong = timezone.now() + error
        patch.setattr(timezone, "now", lambda: wrong)
        assert second.renew() == []
    assert first.own(row.pk) == row

    first.release()
    with monkeypatch.context() as patch:
        patch.setattr(timezone, "now", lambda: wrong)
        assert second.renew() == [row]
        assert second.own(row.pk) == row
    assert first.renew() == []


def test_a_host_whose_clock_was_ahead_keeps_no_webhook(root: User, instance: Instance, receiver: Receiver) -> None:
    row = a_webhook(root, receiver)
    Claims().renew()  # by a worker that was killed, before its clock was set back
    in_a_day = timezone.now() + dt.timedelta(days=1)
    WebhookSubscription.objects.update(claimed_until=in_a_day, next_attempt_at=in_a_day)
    contact = a_contact(instance)

    deliver(row)

    assert changes(receiver) == [("contact", "created", contact.pk)]


def test_a_webhook_that_was_made_by_a_host_whose_clock_is_ahead_delivers_at_once(
    root: User, instance: Instance, receiver: Receiver
) -> None:
    row = a_webhook(root, receiver, next_attempt_at=timezone.now() + dt.timedelta(hours=5))
    contact = a_contact(instance)

    deliver(row)

    assert changes(receiver) == [("contact", "created", contact.pk)]


def test_a_webhook_that_has_failed_waits_for_its_next_attempt(
    root: User, instance: Instance, receiver: Receiver
) -> None:
    row = a_webhook(root, receiver, failures=1, next_attempt_at=timezone.now() + dt.timedelta(hours=5))
    a_contact(instance)

    deliver(row)

    assert changes(receiver) == []


def test_a_replay_during_a_delivery_is_not_lost(root: User, instance: Instance, receiver: Receiver) -> None:
    row = a_webhook(root, receiver)
    start = row.cursor
    a_contact(instance)
    deliver(row)
    contact = a_contact(instance)
    claims = Claims()
    claims.renew()
    under_way = prepare(row, claims)
    assert under_way is not None
    WebhookSubscription.objects.filter(pk=row.pk).update(cursor=start)

    attempt(under_way)

    row.refresh_from_db()
    assert row.cursor == start
    claims.release()
    deliver(row)
    assert changes(receiver)[-1] == ("contact", "created", contact.pk)
    assert len(changes(receiver)) == 4


def test_a_webhook_that_was_deleted_meanwhile_is_no_error(root: User, instance: Instance, receiver: Receiver) -> None:
    row = a_webhook(root, receiver)
    a_contact(instance)
    claims = Claims()
    claims.renew()
    delivery = prepare(row, claims)
    assert delivery is not None
    row.delete()

    attempt(delivery)

    assert DeliveryAttempt.objects.count() == 0


def test_old_attempts_are_deleted(
    root: User, instance: Instance, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivering, "PURGE_EVERY", 1)
    row = a_webhook(root, receiver)
    fields = {"subscription": row, "kind": "changes", "duration_ms": 1, "changes": 1, "cursor": "", "status": 204}
    DeliveryAttempt.objects.bulk_create(
        DeliveryAttempt(message_id=f"msg_{number}", at=timezone.now(), **fields) for number in range(KEPT_ATTEMPTS + 9)
    )
    a_contact(instance)

    deliver(row)

    assert DeliveryAttempt.objects.count() == KEPT_ATTEMPTS


def test_messages_of_a_deleted_chat_are_deleted_in_order(root: User, instance: Instance, receiver: Receiver) -> None:
    row = a_webhook(root, receiver)
    message = a_message(a_chat(instance))
    deliver(row)
    Message.objects.delete(message.pk)

    deliver(row)

    assert ("message", "deleted", message.pk) in changes(receiver)
