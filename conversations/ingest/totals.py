"""What a conversation says of its messages: the last one, how far they are read, and how many are not.

New messages move these by comparison; where a known message has changed in a way that may lower them, they are taken
from the database anew. Both ways come to the same values, which depend on the messages alone.
"""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field

from django.db.models import Max, Q

from conversations.ingest.changes import Changes
from conversations.models import EPOCH, Conversation, Message

PREVIEW = 255  # characters
INSTANT = dt.timedelta(microseconds=1)
# An incoming call is a bubble, but nobody reads it; a status is shown elsewhere.
UNCOUNTED_KINDS = ("call",)
UNCOUNTED_CHATS = ("status", "broadcast")


@dataclass
class Touched:
    """What happened to one conversation's messages in a batch."""

    new: list[Message] = field(default_factory=list)
    changed: dict[Message, set[str]] = field(default_factory=dict)


def place(message: Message) -> tuple[dt.datetime, str, bool]:
    """Return a message's place in its conversation; the greatest is the last message."""
    return message.timestamp, message.key_id, message.from_me


def read_until(message: Message) -> dt.datetime:
    """Return the moment up to which a message shows that its conversation was read.

    An inbound one that was read shows it up to itself. One of ours shows it up to just before itself, if it was written
    on a device: whoever wrote it had the chat before them. A bot that sends through the API reads nothing.
    """
    if message.from_me:
        return message.timestamp - INSTANT if message.from_device else EPOCH
    return message.timestamp if message.status >= Message.Status.READ else EPOCH


def update(conversation: Conversation, touched: Touched, changes: Changes) -> None:
    """Bring a conversation's totals up to date with what happened to its messages."""
    if any("timestamp" in fields for fields in touched.changed.values()):
        recount(conversation, changes)
        return
    rows = [*touched.new, *touched.changed]
    until = max([conversation.read_until, *map(read_until, rows)])
    last = _last(conversation, rows)
    if last is not None:
        _show(conversation, last, changes)
    moved = changes.set(conversation, read_until=until)
    if moved or any(_may_uncount(fields) for fields in touched.changed.values()):
        changes.set(conversation, unread_count=_unread(conversation))
    else:
        fresh = sum(1 for row in touched.new if _counts(conversation, row) and row.timestamp > until)
        changes.set(conversation, unread_count=conversation.unread_count + fresh)


def recount(conversation: Conversation, changes: Changes) -> None:
    """Take a conversation's totals from its messages in the database."""
    messages = Message.objects.filter(conversation=conversation)
    read = messages.aggregate(
        theirs=Max("timestamp", filter=Q(from_me=False, status__gte=Message.Status.READ)),
        ours=Max("timestamp", filter=Q(from_me=True, from_device=True)),
    )
    ours = read["ours"] - INSTANT if read["ours"] else EPOCH
    changes.set(conversation, read_until=max(read["theirs"] or EPOCH, ours, conversation.marked_read_until))
    changes.set(conversation, unread_count=_unread(conversation))
    last = messages.order_by("-timestamp", "-key_id", "-from_me").first()
    _show(conversation, last, changes)


def recount_one(conversation_id: int) -> None:
    """Recount one conversation and save it; the caller holds the instance's lock."""
    changes = Changes()
    recount(Conversation.objects.select_for_update(no_key=True).get(pk=conversation_id), changes)
    changes.save()


def _last(conversation: Conversation, rows: Iterable[Message]) -> Message | None:
    """The last message, if it is among `rows`: because it is new, or because it has changed."""
    known = conversation.last_message
    later = [row for row in rows if known is None or row.pk == known.pk or place(row) > place(known)]
    return max(later, key=place, default=None)


def _show(conversation: Conversation, last: Message | None, changes: Changes) -> None:
    if last is None:  # the only one was deleted here
        last = Message(conversation=conversation, timestamp=EPOCH, from_me=False)
    changes.set(
        conversation,
        last_message=last if last.pk else None,
        last_message_at=last.timestamp,
        last_message_text="" if last.is_deleted else last.text[:PREVIEW],
        last_message_kind=last.kind,
        last_message_from_me=last.from_me,
    )


def _counts(conversation: Conversation, row: Message) -> bool:
    return not row.from_me and row.kind not in UNCOUNTED_KINDS and conversation.kind not in UNCOUNTED_CHATS


def _may_uncount(fields: set[str]) -> bool:
    return "kind" in fields


def _unread(conversation: Conversation) -> int:
    if conversation.kind in UNCOUNTED_CHATS:
        return 0
    unread = Message.objects.filter(conversation=conversation, from_me=False, timestamp__gt=conversation.read_until)
    return unread.exclude(kind__in=UNCOUNTED_KINDS).count()
