"""What the database itself refuses, whoever writes; and what goes when an instance goes."""

from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps
from django.db import IntegrityError, transaction

from conversations.models import (
    Contact,
    ContactAddress,
    Conversation,
    IngestCounter,
    IngestLease,
    Instance,
    Message,
    Participant,
    PendingUpdate,
    StateClock,
    WebhookEvent,
)
from tests.conversations.rows import NOON, a_chat, a_contact, a_group, a_message, an_instance

pytestmark = pytest.mark.django_db


def refuses(write: Callable[[], object], *names: str) -> None:
    """Check that the database refuses the write; PostgreSQL names the constraint, SQLite its columns."""
    with pytest.raises(IntegrityError) as caught, transaction.atomic():
        write()
    assert any(name in str(caught.value) for name in names), caught.value


# --- messages ---------------------------------------------------------------------------------------------------------
def test_a_message_is_there_once() -> None:
    message = a_message(a_chat(an_instance()), key_id="3EB0", from_me=False)
    again = {"key_id": "3EB0", "from_me": False}
    refuses(lambda: a_message(message.conversation, **again), "message_identity", "conversations_message.key_id")
    refuses(
        lambda: Message.objects.bulk_create([Message(**row(message), **again)]),
        "message_identity",
        "conversations_message.key_id",
    )


def row(message: Message) -> dict[str, Any]:
    return {name: getattr(message, name) for name in ("instance_id", "conversation_id", "timestamp", "kind")}


def test_each_part_of_a_messages_identity_counts() -> None:
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
def test_a_message_without_a_part_it_needs_is_refused(missing: str) -> None:
    chat = a_chat(an_instance())
    whole = {"key_id": "3EB0", "from_me": True, "timestamp": NOON, "kind": "text"}
    whole |= {"conversation_id": chat.pk, "instance_id": chat.instance_id}
    refuses(lambda: Message.objects.create(**whole | {missing: None}), missing)


# --- conversations ----------------------------------------------------------------------------------------------------
def test_a_direct_conversation_has_a_contact_and_no_other_has_one() -> None:
    instance = an_instance()
    refuses(lambda: a_group(instance, kind="direct"), "conversation_direct_has_contact")
    refuses(lambda: a_chat(instance, kind="group"), "conversation_direct_has_contact")


def test_a_contact_has_one_conversation() -> None:
    instance = an_instance()
    chat = a_chat(instance)
    refuses(lambda: a_chat(instance, contact=chat.contact, jid="other"), "contact_id")


def test_an_address_has_one_conversation_in_an_instance() -> None:
    one, two = an_instance(), an_instance()
    group = a_group(one)
    refuses(lambda: a_group(one, jid=group.jid), "conversation_jid", "conversations_conversation.jid")
    assert a_group(two, jid=group.jid).pk


def test_unread_messages_are_never_fewer_than_none() -> None:
    refuses(lambda: a_group(an_instance(), unread_count=-1), "unread_count")


def test_somebody_is_in_a_group_once() -> None:
    instance = an_instance()
    group, contact = a_group(instance), a_contact(instance)
    Participant.objects.create(conversation=group, contact=contact, clock="1")
    refuses(
        lambda: Participant.objects.create(conversation=group, contact=contact, clock="2"),
        '"participant"',
        "conversations_participant.contact_id",
    )


# --- names and addresses ----------------------------------------------------------------------------------------------
def test_an_instances_name_is_its_own_on_its_server() -> None:
    an_instance(name="sales", server_url="https://one.example")
    an_instance(name="sales", server_url="https://two.example")
    refuses(
        lambda: an_instance(name="sales", server_url="https://one.example"),
        "instance_name",
        "conversations_instance.name",
    )


def test_an_instance_keeps_its_name() -> None:
    instance = an_instance(name="sales", server_url="https://one.example")
    refuses(lambda: Instance.objects.filter(pk=instance.pk).update(name="support"), "an instance never changes")
    instance.name = "support"
    refuses(instance.save, "an instance never changes")
    Instance.objects.filter(pk=instance.pk).update(name="sales", server_url="https://two.example")
    assert Instance.objects.get(name="sales").server_url == "https://two.example"


def test_a_contacts_address_is_its_own_in_its_instance() -> None:
    one, two = an_instance(), an_instance()
    contact = a_contact(one)
    contact.addresses.create(instance=one, key="phone:1", jid=contact.jid)
    other = a_contact(two, jid=contact.jid)
    other.addresses.create(instance=two, key="phone:1", jid=contact.jid)
    refuses(lambda: a_contact(one, jid=contact.jid), "contact_jid", "conversations_contact.jid")
    refuses(
        lambda: a_contact(one).addresses.create(instance=one, key="phone:1", jid="x"),
        "contact_address",
        "conversations_contactaddress.key",
    )


# --- instances --------------------------------------------------------------------------------------------------------
KEEPS = "a row never changes its instance"
FOREIGN = "a row refers to rows of its own instance only"


@pytest.mark.parametrize("model", [Contact, ContactAddress, Conversation, Message])
def test_a_row_never_changes_its_instance(model: Any) -> None:
    one, two = an_instance(), an_instance()
    full(one)
    refuses(lambda: model.objects.filter(instance=one).update(instance=two), KEEPS)
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
def test_a_row_refers_to_rows_of_its_own_instance_only(model: Any, relation: str, make: Callable[..., Any]) -> None:
    one, two = an_instance(), an_instance()
    full(one)
    row = model.objects.filter(instance=one, **{f"{relation}__isnull": False}).first()
    foreign, own = make(two), make(one)
    refuses(lambda: model.objects.filter(pk=row.pk).update(**{relation: foreign}), FOREIGN)
    assert model.objects.filter(pk=row.pk).update(**{relation: own})
    row.pk, row._state.adding = None, True  # noqa: SLF001 - Django's documented way to copy a row
    setattr(row, relation, foreign)
    refuses(row.save, FOREIGN)


# --- deletion ---------------------------------------------------------------------------------------------------------
def full(instance: Instance) -> None:
    """Give the instance a row in each table, every relation used."""
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


def test_an_instance_goes_with_all_it_has_and_nothing_of_another() -> None:
    one, two = an_instance(), an_instance()
    full(one)
    full(two)
    models = list(apps.get_app_config("conversations").get_models())
    assert {Contact, ContactAddress, Conversation, Instance, Message, PendingUpdate, Participant} <= set(models)
    before = {model: model._default_manager.count() for model in models}  # noqa: SLF001 - Django's public name
    assert all(count >= 2 for count in before.values())
    one.delete()
    after = {model: model._default_manager.count() for model in models}  # noqa: SLF001 - likewise
    assert {model: 2 * count for model, count in after.items()} == before


def test_a_message_goes_and_its_conversation_stays() -> None:
    chat = a_chat(an_instance())
    message = a_message(chat)
    Conversation.objects.filter(pk=chat.pk).update(last_message=message)
    message.delete()
    chat.refresh_from_db()
    assert chat.last_message is None
