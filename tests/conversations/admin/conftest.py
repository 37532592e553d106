"""Fixtures of the admin tests, which create rows and log in staff users with chosen permissions."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from conversations.models import Contact, Conversation, Instance, Membership, Message, Role, WebhookEvent

START = dt.datetime(2026, 3, 2, 12, 0, tzinfo=dt.UTC)
MODELS = (Instance, Contact, Conversation, Message, WebhookEvent)

Populate = Callable[[int], None]
StaffClient = Callable[..., Client]


@pytest.fixture
def populate(db: None) -> Populate:  # noqa: ARG001 - the fixture "db" enables database access
    """Return a function that creates `count` rows of each model, which share no instance, contact or chat."""

    def create(count: int) -> None:
        first = Instance.objects.count()
        for i in range(first, first + count):
            at = START + dt.timedelta(minutes=i)
            instance = Instance.objects.create(
                name=f"loja-{i:03}", state="open", owner_jid=f"55114000{i:04}@s.whatsapp.net"
            )
            contact, _ = Contact.objects.upsert(instance, f"551199900{i:04}@s.whatsapp.net", name=f"Ana {i:03}")
            chat, _ = Conversation.objects.upsert(instance, contact.jid, name=contact.name)
            message = Message.objects.create(
                instance=instance, conversation=chat, key_id=f"3EB0{i}", from_me=False, sender=contact,
                timestamp=at, kind="text", text=f"Bom dia {i:03}", status=Message.Status.DELIVERED,
            )  # fmt: skip
            Conversation.objects.filter(pk=chat.pk).update(
                last_message=message, last_message_at=at, last_message_text=message.text, last_message_kind="text",
                unread_count=i % 3, is_pinned=i % 2 == 0, is_archived=i % 5 == 0,
            )  # fmt: skip
            WebhookEvent.objects.create(
                instance=instance, name="messages.upsert", payload={"event": "messages.upsert"}, digest=f"{i:064}"
            )

    return create


@pytest.fixture
def staff_client(db: None) -> StaffClient:  # noqa: ARG001 - the fixture "db" enables database access
    """Return a function that creates a staff user with only the given permissions, and returns a logged-in client.

    The user is a manager of all instances that exist then.
    """

    def log_in(*codenames: str) -> Client:
        user = User.objects.create_user("ines", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
        for instance in Instance.objects.all():
            Membership.objects.create(user=user, instance=instance, role=Role.MANAGER)
        client = Client()
        client.force_login(user)
        return client

    return log_in


@pytest.fixture
def chat(populate: Populate) -> Conversation:
    """Create the only conversation in the database, with one message."""
    populate(1)
    return Conversation.objects.get()


def add_messages(chat: Conversation, count: int, *, first: int = 0, **fields: Any) -> None:
    """Add chat messages to a conversation, one per minute, numbered from `first`."""
    for i in range(first, first + count):
        at = START + dt.timedelta(hours=1, minutes=i)
        values = {"from_me": False, "kind": "text", "text": f"nº {i:03}", "sender": chat.contact, **fields}
        Message.objects.create(
            instance=chat.instance, conversation=chat, key_id=f"K{chat.pk}-{i:03}", timestamp=at, **values
        )
