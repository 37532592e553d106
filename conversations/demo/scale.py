"""Fills the database tables quickly with generated rows, so that the system can be tried with large tables.

The command `manage.py demo --scale 10000000` adds about ten million messages without using the webhook endpoint. Each
conversation gets ten messages, alternately inbound and outbound; every tenth conversation lacks the tenth message and
ends with an unread message. The rows have the values that the ingestion of webhooks would have written.
"""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db import transaction

from cachelayer import cache
from conversations.demo import bulk_load
from conversations.evolution import jid as jids
from conversations.evolution.coerce import EPOCH
from conversations.models import Contact, ContactAddress, Conversation, Instance, Message

INSTANCE_NAME = "scale-{:02d}"
INSTANCE_COUNT = 20
MESSAGES_PER_CONVERSATION = 10
FIRST_TIMESTAMP = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
BATCH_CONVERSATIONS = 2000  # number of conversations whose rows are in memory together
MODELS = (Contact, ContactAddress, Conversation, Message)

_CONVERSATION_STEP = dt.timedelta(seconds=7)  # time between the first messages of two consecutive conversations
_MESSAGE_STEP = dt.timedelta(hours=30)  # time between two consecutive messages of a conversation
_UNREAD_EVERY = 10
_TEXTS = (
    "Bom dia! O pedido já saiu?",
    "Saiu sim, chega amanhã.",
    "Perfeito, obrigada!",
    "Qualquer coisa, é só chamar.",
)

_CONTACT = ("id", "jid", "phone", "name")
_ADDRESS = ("key", "jid", "contact_id")
_CONVERSATION = (
    "id", "jid", "contact_id", "name", "last_message_id", "last_message_at", "last_message_text",
    "last_message_from_me", "unread_count", "read_until",
)  # fmt: skip
_MESSAGE = ("id", "conversation_id", "key_id", "from_me", "sender_id", "timestamp", "status", "text")


class _Rows(NamedTuple):
    """The rows of one conversation: values in the order of `_CONTACT`, `_ADDRESS`, `_CONVERSATION` and `_MESSAGE`."""

    contact: tuple[Any, ...]
    address: tuple[Any, ...]
    conversation: tuple[Any, ...]
    messages: list[tuple[Any, ...]]


@dataclass(frozen=True)
class _FirstIds:
    """The first reserved primary key of each table, and the first number used in names and phone numbers."""

    contact: int
    conversation: int
    message: int
    person: int


def fill(messages: int) -> Iterator[int]:
    """Add about `messages` messages to conversations of twenty instances, and yield the number that each step added.

    Each instance is filled in one transaction, so an interrupted run leaves no partly filled instance.
    """
    person = Contact.objects.count()  # first number that no person of an earlier run has
    conversations = max(1, messages // MESSAGES_PER_CONVERSATION)
    for index in range(INSTANCE_COUNT):
        count = conversations // INSTANCE_COUNT + (index < conversations % INSTANCE_COUNT)
        if count:
            first = _reserve_ids(count, person)
            with transaction.atomic():
                yield from _fill_instance(INSTANCE_NAME.format(index + 1), count, first)
        person += count
    bulk_load.analyze(MODELS)


def _reserve_ids(conversations: int, person: int) -> _FirstIds:
    return _FirstIds(
        bulk_load.reserve_ids(Contact, conversations),
        bulk_load.reserve_ids(Conversation, conversations),
        bulk_load.reserve_ids(Message, conversations * MESSAGES_PER_CONVERSATION),
        person,
    )


def _fill_instance(name: str, conversations: int, first: _FirstIds) -> Iterator[int]:
    instance, _ = Instance.objects.get_or_create(name=name)
    bulk_load.skip_foreign_key_checks()
    for start in range(0, conversations, BATCH_CONVERSATIONS):
        indexes = range(start, min(start + BATCH_CONVERSATIONS, conversations))
        yield _insert(instance, [_conversation(index, first) for index in indexes])
    # The cache is cleared at the end of the transaction, because reads bypass the cache from clearing to commit.
    # Other connections do not see the new rows before the commit.
    cache.clear_all()


def _insert(instance: Instance, batch: list[_Rows]) -> int:
    constants = {"instance_id": instance.pk}
    kinds = {"kind": Conversation.Kind.DIRECT.value, "last_message_kind": Message.Kind.TEXT.value}
    messages = [message for rows in batch for message in rows.messages]
    bulk_load.insert(Contact, constants, _CONTACT, [rows.contact for rows in batch])
    bulk_load.insert(ContactAddress, constants, _ADDRESS, [rows.address for rows in batch])
    bulk_load.insert(Conversation, constants | kinds, _CONVERSATION, [rows.conversation for rows in batch])
    bulk_load.insert(Message, constants | {"kind": Message.Kind.TEXT.value}, _MESSAGE, messages)
    return len(messages)


def _conversation(index: int, first: _FirstIds) -> _Rows:
    contact, conversation, person = first.contact + index, first.conversation + index, first.person + index
    phone = f"5511{900_000_000 + person}"
    jid, name = f"{phone}@s.whatsapp.net", f"Pessoa {person}"
    is_unread = index % _UNREAD_EVERY == 0
    first_message = first.message + index * MESSAGES_PER_CONVERSATION
    start = FIRST_TIMESTAMP + index * _CONVERSATION_STEP
    messages = [
        _message(first_message + number, conversation, contact, start + number * _MESSAGE_STEP, number)
        for number in range(
            MESSAGES_PER_CONVERSATION - is_unread
        )  # an odd number of messages ends with an inbound message
    ]
    if is_unread:
        messages[-1] = (*messages[-1][:6], int(Message.Status.PENDING), messages[-1][7])
    read = [message[5] for message in messages if message[6] == Message.Status.READ]
    last_pk, _, _, from_me, _, timestamp, _, text = messages[-1]
    address = jids.parse(jid)
    return _Rows(
        (contact, jid, phone, name),
        (address.key if address else jid, jid, contact),
        (conversation, jid, contact, name, last_pk, timestamp, text, from_me, int(is_unread), max(read, default=EPOCH)),
        messages,
    )


def _message(pk: int, conversation: int, contact: int, at: dt.datetime, number: int) -> tuple[Any, ...]:
    from_me = number % 2 == 1
    status, sender = (Message.Status.DELIVERED, None) if from_me else (Message.Status.READ, contact)
    return pk, conversation, f"3EB0{pk:016X}", from_me, sender, at, int(status), _TEXTS[number % len(_TEXTS)]
