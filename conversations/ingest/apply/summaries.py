"""Brings a conversation's totals up to date with what a batch did to its messages.

New messages move them by comparison; where a known message has changed in a way that may lower them, they are taken
from the database anew.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from conversations.ingest.apply.unit_of_work import UnitOfWork
from conversations.models import Conversation, Message, conversation_summary


@dataclass
class MessageChanges:
    """What happened to one conversation's messages in a batch."""

    new: list[Message] = field(default_factory=list)
    changed: dict[Message, set[str]] = field(default_factory=dict)


def update_summary(conversation: Conversation, touched: MessageChanges, changes: UnitOfWork) -> None:
    """Move the totals of one conversation."""
    if any("timestamp" in fields for fields in touched.changed.values()):
        changes.set(conversation, **conversation.summarize())
        return
    rows = [*touched.new, *touched.changed]
    until = max([conversation.read_until, *map(conversation_summary.read_until, rows)])
    is_new = conversation.last_message_id is None  # all its messages are at hand, none needs to be counted
    last = _last(conversation, rows)
    if last is not None:
        changes.set(conversation, **conversation_summary.last_message_fields(last))
    moved = changes.set(conversation, read_until=until)
    if (moved and not is_new) or any("kind" in fields for fields in touched.changed.values()):
        unread = conversation.count_unread(until)
    else:
        fresh = [
            row
            for row in touched.new
            if conversation_summary.counts_as_unread(row, conversation.kind) and row.timestamp > until
        ]
        unread = conversation.unread_count + len(fresh)
    changes.set(conversation, unread_count=unread)


def _last(conversation: Conversation, rows: Iterable[Message]) -> Message | None:
    """The last message, if it is among `rows`: because it is new, or because it has changed."""
    known = conversation.last_message_id
    place = known and (conversation.last_message_at, conversation.last_key_id, conversation.last_message_from_me)
    later = [row for row in rows if not place or row.pk == known or conversation_summary.sort_key(row) > place]
    return max(later, key=conversation_summary.sort_key, default=None)
