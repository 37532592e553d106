"""Fills the database with enough rows that PostgreSQL chooses the same query plans as in production."""

import datetime as dt

from django.db import connection

from conversations.models import Contact, Conversation, Instance, Message
from tests.conversations.rows import NOON

INSTANCES = 500
BUSY_INSTANCES = 2  # number of instances that have chats and messages
CHATS = 2_500  # number of chats of each busy instance
MESSAGES = 4_000  # number of messages of each busy instance
CHATS_WITH_MESSAGES = 5


def fill() -> Instance:
    """Insert the rows and run ANALYZE; return an instance that has chats and messages."""
    instances = Instance.objects.bulk_create(Instance(name=f"instance {n:05}") for n in range(INSTANCES))
    for instance in instances[:BUSY_INSTANCES]:
        contacts = Contact.objects.bulk_create(_contact(instance, n) for n in range(CHATS))
        chats = Conversation.objects.bulk_create(_chat(contact, n) for n, contact in enumerate(contacts))
        Message.objects.bulk_create(_message(chats[n % CHATS_WITH_MESSAGES], n) for n in range(MESSAGES))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return instances[0]


def _contact(instance: Instance, n: int) -> Contact:
    return Contact(instance=instance, jid=f"55119{n:08}@s.whatsapp.net", phone=f"55119{n:08}", name=f"name {n % 1500}")


def _chat(contact: Contact, n: int) -> Conversation:
    """Return the n-th conversation; realistic shares of conversations are pinned, archived, unread or deleted."""
    return Conversation(
        instance=contact.instance,
        contact=contact,
        kind="direct",
        jid=contact.jid,
        name=contact.name,
        last_message_at=NOON + dt.timedelta(seconds=n * 7919 % CHATS),
        unread_count=int(n % 9 == 0),
        is_pinned=n % 10 == 0,
        is_archived=n % 5 == 1,
        is_deleted=n % 50 == 2,
        muted_until=NOON if n % 40 == 3 else None,
        labels={"7": True} if n % 50 == 4 else {},
    )


def _message(chat: Conversation, n: int) -> Message:
    return Message(
        instance=chat.instance,
        conversation=chat,
        key_id=f"3EB0{n:08X}",
        from_me=n % 2 == 0,
        sender_id=chat.contact_id if n % 2 else None,
        kind="text" if n % 10 else "image",
        text="olá",
        status=Message.Status.FAILED if n % 100 == 7 else Message.Status.SENT,
        timestamp=NOON + dt.timedelta(seconds=n * 7919 % MESSAGES),
    )
