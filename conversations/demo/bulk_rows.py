"""Rows without a story, as many as are wanted: to see how the whole behaves when its tables are large. Pure.

Each conversation has the same number of messages, theirs and ours in turn; in every tenth the last one is unread. The
rows say what ingestion would have made of such messages.
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from conversations.evolution import jid as jids
from conversations.evolution.coerce import EPOCH
from conversations.models import Message

INSTANCES = 20
EACH = 10  # messages of a conversation
FIRST = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
PAUSE, STEP = dt.timedelta(seconds=7), dt.timedelta(hours=30)  # between conversations, and between messages of one
UNREAD_EVERY = 10
TEXTS = ("Bom dia! O pedido já saiu?", "Saiu sim, chega amanhã.", "Perfeito, obrigada!", "Qualquer coisa, é só chamar.")

READ, DELIVERED, PENDING = Message.Status.READ, Message.Status.DELIVERED, Message.Status.PENDING


class Values(NamedTuple):
    """The values of rows of one conversation, by column, as far as they differ from row to row."""

    contact: tuple[Any, ...]
    address: tuple[Any, ...]
    conversation: tuple[Any, ...]
    messages: list[tuple[Any, ...]]


CONTACT = ("id", "jid", "phone", "name")
ADDRESS = ("key", "jid", "contact_id")
CONVERSATION = (
    "id", "jid", "contact_id", "name", "last_message_id", "last_message_at", "last_message_text",
    "last_message_from_me", "unread_count", "read_until",
)  # fmt: skip
MESSAGE = ("id", "conversation_id", "key_id", "from_me", "sender_id", "timestamp", "status", "text")


@dataclass(frozen=True)
class IdRanges:
    """The first of the primary keys that are free, and the first of the numbers that people are told apart by."""

    contact: int
    conversation: int
    message: int
    person: int


def generate_rows(conversations: int, numbers: IdRanges) -> Iterator[Values]:
    """Yield so many conversations of one instance."""
    for place in range(conversations):
        yield _conversation(place, numbers)


def _conversation(place: int, first: IdRanges) -> Values:
    contact, conversation, person = first.contact + place, first.conversation + place, first.person + place
    phone = f"5511{900_000_000 + person}"
    jid, name = f"{phone}@s.whatsapp.net", f"Pessoa {person}"
    is_unread = place % UNREAD_EVERY == 0
    messages = [
        _message(first.message + place * EACH + turn, conversation, contact, FIRST + place * PAUSE + turn * STEP, turn)
        for turn in range(EACH - is_unread)  # an odd number ends with one of theirs
    ]
    if is_unread:
        messages[-1] = (*messages[-1][:6], PENDING, messages[-1][7])
    read = [message[5] for message in messages if message[6] == READ]
    last_pk, _, _, from_me, _, timestamp, _, text = messages[-1]
    address = jids.parse(jid)
    return Values(
        (contact, jid, phone, name),
        (address.key if address else jid, jid, contact),
        (conversation, jid, contact, name, last_pk, timestamp, text, from_me, int(is_unread), max(read, default=EPOCH)),
        messages,
    )


def _message(pk: int, conversation: int, contact: int, at: dt.datetime, turn: int) -> tuple[Any, ...]:
    from_me = turn % 2 == 1
    status, sender = (DELIVERED, None) if from_me else (READ, contact)
    return pk, conversation, f"3EB0{pk:016X}", from_me, sender, at, int(status), TEXTS[turn % len(TEXTS)]


def split_across_instances(messages: int) -> Sequence[int]:
    """Return how many conversations each instance has, so that there are about so many messages."""
    wanted = max(1, messages // EACH)
    return [wanted // INSTANCES + (place < wanted % INSTANCES) for place in range(INSTANCES)]
