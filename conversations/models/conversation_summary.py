"""How a conversation's summary follows from its messages: last message, read watermark and unread count.

The summary depends on the messages alone, not on their order of arrival. `Conversation.summarize` computes it from the
database; `ingest/apply/summaries.py` updates it from the messages of a batch. Both use the functions here, which do no
I/O.
"""

import datetime as dt
from typing import Any, Protocol

from conversations.evolution.coerce import EPOCH
from conversations.evolution.status import READ

PREVIEW_CHARS = 255
RESOLUTION = dt.timedelta(microseconds=1)  # of a timestamp in the database
# A call is a message that cannot be read, and WhatsApp shows status updates outside of the inbox.
UNCOUNTED_MESSAGE_KINDS = ("call",)
UNCOUNTED_CONVERSATION_KINDS = ("status", "broadcast")


class SummarizedMessage(Protocol):
    """The fields of `Message` that a summary depends on."""

    pk: Any
    key_id: str
    from_me: bool
    from_device: bool
    timestamp: dt.datetime
    status: int
    kind: str
    text: str
    is_deleted: bool


def sort_key(message: SummarizedMessage) -> tuple[dt.datetime, str, bool]:
    """Return a message's position in its conversation; the last message has the greatest."""
    return message.timestamp, message.key_id, message.from_me


def read_until(message: SummarizedMessage) -> dt.datetime:
    """Return the time up to which a message proves that its conversation was read.

    An inbound message with a read receipt proves it up to its own timestamp. An outbound message written on a device
    proves it up to just before its timestamp, because its author had the chat open. A message that a bot sent through
    the API proves nothing; the result is the epoch then.
    """
    if message.from_me:
        return message.timestamp - RESOLUTION if message.from_device else EPOCH
    return message.timestamp if message.status >= READ else EPOCH


def counts_as_unread(message: SummarizedMessage, conversation_kind: str) -> bool:
    """Return whether a message adds to the unread count until it is read."""
    is_counted = message.kind not in UNCOUNTED_MESSAGE_KINDS and conversation_kind not in UNCOUNTED_CONVERSATION_KINDS
    return is_counted and not message.from_me


def last_message_fields(message: SummarizedMessage | None) -> dict[str, Any]:
    """Return the fields of `Conversation` that describe its last message; None when it has no messages."""
    return {
        "last_message_id": message.pk if message else None,
        "last_message_at": message.timestamp if message else EPOCH,
        "last_message_text": message.text[:PREVIEW_CHARS] if message and not message.is_deleted else "",
        "last_message_kind": message.kind if message else "",
        "last_message_from_me": message.from_me if message else False,
    }
