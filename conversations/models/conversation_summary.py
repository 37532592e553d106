"""Derives a conversation's summary (last message, read watermark, unread count) from the messages, without I/O.

A summary depends on the conversation's messages alone, not on the order in which they arrived. `Conversation.summarize`
computes a summary from the database; `ingest/apply/summaries.py` updates a summary from the messages of a batch.
"""

import datetime as dt
from typing import Any, Protocol

from conversations.evolution.coerce import EPOCH
from conversations.evolution.status import READ

PREVIEW_CHARS = 255
Position = tuple[dt.datetime, int]  # a place in a conversation: `timestamp` and `sent_order` of a message
START: Position = (EPOCH, 0)  # before all messages
# A file that completes another message, such as the same picture in high definition; WhatsApp shows both as one.
SUPPLEMENT = "supplement"
# Calls and notices never count as unread, because nobody wrote them. Status updates never count as unread, because
# WhatsApp shows them outside of the inbox.
UNCOUNTED_MESSAGE_KINDS = ("call", "notice", SUPPLEMENT)
UNCOUNTED_CONVERSATION_KINDS = ("status", "broadcast")


class SummarizedMessage(Protocol):
    """The fields of `Message` that a conversation's summary depends on."""

    pk: Any
    key_id: str
    from_me: bool
    from_device: bool
    timestamp: dt.datetime
    sent_order: int
    status: int
    kind: str
    text: str
    is_deleted: bool
    is_history: bool


def sort_key(message: SummarizedMessage) -> tuple[dt.datetime, int, str, bool]:
    """Return the key by which messages of a conversation are ordered; the last message has the greatest sort key."""
    return message.timestamp, message.sent_order, message.key_id, message.from_me


def preview_key(message: SummarizedMessage) -> tuple[bool, dt.datetime, int, str, bool]:
    """Return the key with the greatest value for the message that is shown as the last one of its conversation.

    A supplement is shown as the last message only in a conversation that has no other messages.
    """
    return (message.kind != SUPPLEMENT, *sort_key(message))


def position(message: SummarizedMessage) -> Position:
    """Return a message's place in its conversation."""
    return message.timestamp, message.sent_order


def read_until(message: SummarizedMessage) -> Position:
    """Return the place up to which a message proves that its conversation was read.

    An inbound message with a read receipt proves that the chat was read up to the message. An outbound message written
    on a device proves that the chat was read up to just before the message, because the author had the chat open.
    `START` is returned for a message that proves nothing, such as a message sent by a bot.
    """
    if message.from_me:
        return (message.timestamp, message.sent_order - 1) if message.from_device else START
    return position(message) if message.status >= READ else START


def counts_as_unread(message: SummarizedMessage, conversation_kind: str) -> bool:
    """Return whether a message adds to its conversation's unread count until the message is read.

    A message known from a history import alone does not count, because an import does not say what is unread.
    """
    is_counted = message.kind not in UNCOUNTED_MESSAGE_KINDS and conversation_kind not in UNCOUNTED_CONVERSATION_KINDS
    return is_counted and not message.from_me and not message.is_history


def last_message_fields(message: SummarizedMessage | None) -> dict[str, Any]:
    """Return the `Conversation` fields that describe the last message; pass None for a chat without messages."""
    return {
        "last_message_id": message.pk if message else None,
        "last_message_at": message.timestamp if message else EPOCH,
        "last_message_text": message.text[:PREVIEW_CHARS] if message and not message.is_deleted else "",
        "last_message_kind": message.kind if message else "",
        "last_message_from_me": message.from_me if message else False,
    }
