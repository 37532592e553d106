"""Constraints and triggers reject invalid rows, and a deletion removes all rows that depend on the deleted row."""

from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, transaction

from conversations.models import (
    ActiveHour,
    Alarm,
    AlarmMessage,
    ApiToken,
    Change,
    ChangeHistory,
    CheckResult,
    Contact,
    ContactAddress,
    Conversation,
    ConversationTally,
    DeliveryAttempt,
    IdempotentRequest,
    IngestCounter,
    IngestLease,
    Instance,
    Membership,
    Message,
    MinuteRecord,
    Participant,
    PendingUpdate,
    ReadingRecord,
    RefusalMark,
    StateClock,
    Turn,
    WebhookEvent,
    WebhookSubscription,
)
from tests.conversations.rows import NOON, a_chat, a_contact, a_group, a_message, an_instance

pytestmark = pytest.mark.django_db


def assert_rejects(write: Callable[[], object], *expected: str) -> None:
    """Check that a write raises an IntegrityError that contains one of `expected`: a constraint's name or columns."""
    with pytest.raises(IntegrityError) as caught, transaction.atomic():
        write()
    assert any(text in str(caught.value) for text in expected), caught.value


@pytest.mark.postgresql
def test_no_trigger_builds_a_statement_which_postgresql_would_plan_for_each_row() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT proname FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid WHERE prosrc ~ 'EXECUTE'")
        assert cursor.fetchall() == []


# --- messages ---------------------------------------------------------------------------------------------------------
def test_a_message_cannot_be_stored_twice() -> None:
    message = a_message(a_chat(an_instance()), key_id="3EB0", from_me=False)
    identity = {"key_id": "3EB0", "from_me": False}
    assert_rejects(
        lambda: a_message(message.conversation, **identity), "message_identity", "conversations_message.key_id"
    )
    assert_rejects(
        lambda: Message.objects.bulk_create([Message(**required_fields(message), **identity)]),
        "message_identity",
        "conversations_message.key_id",
    )


def required_fields(message: Message) -> dict[str, Any]:
    return {name: getattr(message, name) for name in ("instance_id", "conversation_id", "timestamp", "kind")}


def test_messages_that_differ_in_one_part_of_the_identity_are_different() -> None:
    one, two = an_instance(), an_instance()
    chat = a_chat(one)
    for conversation, key_id, from_me in (
        (chat, "3EB0", False),
        (chat, "3EB0", True),
        (chat, "3EB1", False),
        (a_chat(one), "3EB0", False),
        (a_chat(two), "3EB0", False),
    ):
        a_message(conversation, key_id=key_id, from_me=from_me)
    assert Message.objects.count() == 5


@pytest.mark.parametrize("missing", ["key_id", "from_me", "timestamp", "kind", "conversation_id", "instance_id"])
def test_a_message_without_a_required_field_is_rejected(missing: str) -> None:
    chat = a_chat(an_instance())
    fields = {"key_id": "3EB0", "from_me": True, "timestamp": NOON, "kind": "text"}
    fields |= {"conversation_id": chat.pk, "instance_id": chat.instance_id}
    assert_rejects(lambda: Message.objects.create(**fields | {missing: None}), missing)


# --- conversations ----------------------------------------------------------------------------------------------------
def test_direct_conversations_and_no_others_have_a_contact() -> None:
    instance = an_instance()
    assert_rejects(lambda: a_group(instance, kind="direct"), "conversation_direct_has_contact")
    assert_rejects(lambda: a_chat(instance, kind="group"), "conversation_direct_has_contact")


def test_a_contact_cannot_have_two_conversations() -> None:
    instance = an_instance()
    chat = a_chat(instance)
    assert_rejects(lambda: a_chat(instance, contact=chat.contact, jid="other"), "contact_id")


def test_an_address_cannot_have_two_conversations_in_an_instance() -> None:
    one, two = an_instance(), an_instance()
    group = a_group(one)
    assert_rejects(lambda: a_group(one, jid=group.jid), "conversation_jid", "conversations_conversation.jid")
    assert a_group(two, jid=group.jid).pk


def test_the_unread_count_cannot_be_negative() -> None:
    assert_rejects(lambda: a_group(an_instance(), unread_count=-1), "unread_count")


def test_a_contact_cannot_be_in_a_group_twice() -> None:
    instance = an_instance()
    group, contact = a_group(instance), a_contact(instance)
    Participant.objects.create(conversation=group, contact=contact, clock="1")
    assert_rejects(
        lambda: Participant.objects.create(conversation=group, contact=contact, clock="2"),
        '"participant"',
        "conversations_participant.contact_id",
    )


# --- names and addresses ----------------------------------------------------------------------------------------------
def test_an_instance_name_is_unique_per_server() -> None:
    an_instance(name="sales", server_url="https://one.example")
    an_instance(name="sales", server_url="https://two.example")
    assert_rejects(
        lambda: an_instance(name="sales", server_url="https://one.example"),
        "instance_name",
        "conversations_instance.name",
    )


def test_an_instance_cannot_change_its_name() -> None:
    instance = an_instance(name="sales", server_url="https://one.example")
    assert_rejects(lambda: Instance.objects.filter(pk=instance.pk).update(name="support"), "an instance never changes")
    instance.name = "support"
    assert_rejects(instance.save, "an instance never changes")
    Instance.objects.filter(pk=instance.pk).update(name="sales", server_url="https://two.example")
    assert Instance.objects.get(name="sales").server_url == "https://two.example"


def test_a_contact_address_is_unique_per_instance() -> None:
    one, two = an_instance(), an_instance()
    contact = a_contact(one)
    contact.addresses.create(instance=one, key="phone:1", jid=contact.jid)
    other = a_contact(two, jid=contact.jid)
    other.addresses.create(instance=two, key="phone:1", jid=contact.jid)
    assert_rejects(lambda: a_contact(one, jid=contact.jid), "contact_jid", "conversations_contact.jid")
    assert_rejects(
        lambda: a_contact(one).addresses.create(instance=one, key="phone:1", jid="x"),
        "contact_address",
        "conversations_contactaddress.key",
    )


# --- instances --------------------------------------------------------------------------------------------------------
CHANGED_INSTANCE = "a row never changes its instance"
OTHER_INSTANCE = "a row refers to rows of its own instance only"


@pytest.mark.parametrize("model", [Contact, ContactAddress, Conversation, Message])
def test_a_row_cannot_change_its_instance(model: Any) -> None:
    one, two = an_instance(), an_instance()
    fill(one)
    assert_rejects(lambda: model.objects.filter(instance=one).update(instance=two), CHANGED_INSTANCE)
    assert model.objects.filter(instance=one).update(instance=one)


@pytest.mark.parametrize(
    ("model", "relation", "make"),
    [
        (ContactAddress, "contact", a_contact),
        (Conversation, "contact", a_contact),
        (Message, "conversation", a_group),
        (Message, "sender", a_contact),
    ],
)
def test_a_row_cannot_refer_to_a_row_of_another_instance(model: Any, relation: str, make: Callable[..., Any]) -> None:
    one, two = an_instance(), an_instance()
    fill(one)
    row = model.objects.filter(instance=one, **{f"{relation}__isnull": False}).first()
    foreign, own = make(two), make(one)
    assert_rejects(lambda: model.objects.filter(pk=row.pk).update(**{relation: foreign}), OTHER_INSTANCE)
    assert model.objects.filter(pk=row.pk).update(**{relation: own})
    row.pk, row._state.adding = None, True  # noqa: SLF001 - Django documents that a row is copied this way
    setattr(row, relation, foreign)
    assert_rejects(row.save, OTHER_INSTANCE)


# --- deletion ---------------------------------------------------------------------------------------------------------
def fill(instance: Instance) -> None:
    """Create rows of the instance in each table, with a value in every foreign key."""
    chat, group = a_chat(instance), a_group(instance)
    assert chat.contact is not None
    chat.last_message = a_message(chat, sender=chat.contact)
    chat.save()
    a_message(group, sender=chat.contact)
    chat.contact.addresses.create(instance=instance, key="phone:1", jid=chat.jid)
    Participant.objects.create(conversation=group, contact=chat.contact, clock="1")
    WebhookEvent.objects.create(instance=instance, name="call", payload={}, digest="0")
    PendingUpdate.objects.create(instance=instance, key_id="1", from_me=0, kind="delete", rank_or_ms=0, value={})
    StateClock.objects.create(instance=instance, subject="instance")
    IngestLease.objects.create(instance=instance)
    IngestCounter.objects.create(instance=instance, name="applied", value=1)
    ActiveHour.objects.create(instance=instance, hour=1)
    RefusalMark.objects.create(instance=instance, value=1)
    user = User.objects.create_user(f"agent of {instance.name}")
    Membership.objects.create(user=user, instance=instance)
    ReadingRecord.objects.create(instance=instance, user=user, conversation_pk=chat.pk, conversation_jid=chat.jid)


def test_deleting_an_instance_deletes_its_rows_and_no_others() -> None:
    one, two = an_instance(), an_instance()
    fill(one)
    fill(two)
    # A token and its requests belong to a user, who may be a member of other instances too. Triggers write the tally,
    # and the log, which says that the rows were deleted. Alarms end by themselves. Webhooks belong to users.
    others = {ApiToken, Change, ChangeHistory, ConversationTally, IdempotentRequest}
    others |= {Alarm, AlarmMessage, CheckResult, MinuteRecord, Turn, DeliveryAttempt, WebhookSubscription}
    models = [model for model in apps.get_app_config("conversations").get_models() if model not in others]
    assert {Contact, ContactAddress, Conversation, Instance, Message, PendingUpdate, Participant} <= set(models)
    before = {model: model._default_manager.count() for model in models}  # noqa: SLF001 - Django documents the attribute _default_manager
    assert all(count >= 2 for count in before.values())
    one.delete()
    after = {model: model._default_manager.count() for model in models}  # noqa: SLF001 - Django documents the attribute _default_manager
    assert {model: 2 * count for model, count in after.items()} == before


def test_deleting_a_message_keeps_its_conversation() -> None:
    chat = a_chat(an_instance())
    message = a_message(chat)
    Conversation.objects.filter(pk=chat.pk).update(last_message=message)
    message.delete()
    chat.refresh_from_db()
    assert chat.last_message is None
