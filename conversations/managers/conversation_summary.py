"""What a conversation says of its messages: the last one, how far they are read, and how many are not.

The values depend on the messages alone, whether they are taken from the database (`recounted`) or moved by comparison
as messages come (`ingest.totals`).
"""

import datetime as dt
from typing import TYPE_CHECKING, Any

from django.db.models import Max, Q

from conversations.evolution.coerce import EPOCH
from conversations.evolution.status import READ

if TYPE_CHECKING:
    from conversations.models import Conversation, Message

PREVIEW = 255  # characters
RESOLUTION = dt.timedelta(microseconds=1)
# An incoming call is a bubble, but nobody reads it; a status is shown elsewhere.
UNCOUNTED_KINDS = ("call",)
UNCOUNTED_CHATS = ("status", "broadcast")


def sort_key(message: "Message") -> tuple[dt.datetime, str, bool]:
    """Return a message's place in its conversation; the greatest is the last message."""
    return message.timestamp, message.key_id, message.from_me


def read_until(message: "Message") -> dt.datetime:
    """Return the moment up to which a message shows that its conversation was read.

    An inbound one that was read shows it up to itself. One of ours shows it up to just before itself, if it was written
    on a device: whoever wrote it had the chat before them. A bot that sends through the API reads nothing.
    """
    if message.from_me:
        return message.timestamp - RESOLUTION if message.from_device else EPOCH
    return message.timestamp if message.status >= READ else EPOCH


def counts_as_unread(conversation: "Conversation", message: "Message") -> bool:
    """Say whether a message is one that is unread until it is read."""
    return not message.from_me and message.kind not in UNCOUNTED_KINDS and conversation.kind not in UNCOUNTED_CHATS


def count_unread(conversation: "Conversation", until: dt.datetime) -> int:
    """Count the messages after `until` that are unread."""
    if conversation.kind in UNCOUNTED_CHATS:
        return 0
    rows = conversation.messages.filter(from_me=False, timestamp__gt=until)
    return rows.exclude(kind__in=UNCOUNTED_KINDS).count()


def last_message_fields(last: "Message | None") -> dict[str, Any]:
    """Return a conversation's fields that show its last message; None: it has none."""
    return {
        "last_message_id": last.pk if last else None,
        "last_message_at": last.timestamp if last else EPOCH,
        "last_message_text": last.text[:PREVIEW] if last and not last.is_deleted else "",
        "last_message_kind": last.kind if last else "",
        "last_message_from_me": last.from_me if last else False,
    }


def recompute(conversation: "Conversation") -> dict[str, Any]:
    """Return a conversation's totals, taken from its messages in the database."""
    read = conversation.messages.aggregate(
        theirs=Max("timestamp", filter=Q(from_me=False, status__gte=READ)),
        ours=Max("timestamp", filter=Q(from_me=True, from_device=True)),
        last=Max("timestamp"),
    )
    ours = read["ours"] - RESOLUTION if read["ours"] else EPOCH
    until = max(read["theirs"] or EPOCH, ours, conversation.marked_read_until)
    # Not ordered by the database, whose collation may order key ids in another way than `place` does.
    last = max(conversation.messages.filter(timestamp=read["last"]), key=sort_key, default=None)
    return {"read_until": until, "unread_count": count_unread(conversation, until), **last_message_fields(last)}
