"""Updates a conversation's summary: its last message, its read watermark and its unread count.

A new message is compared with the stored summary. If a changed message could lower a value of the summary, the value is
recomputed from the database.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from conversations.ingest.apply.unit_of_work import UnitOfWork
from conversations.models import Conversation, Message, conversation_summary
from conversations.models.conversation_changes import read_fields


@dataclass
class MessageChanges:
    """A batch's changes to one conversation's messages.

    Attributes:
        new: new messages.
        changed: changed messages → the names of the changed fields.
        is_recount: whether the summary has to be recomputed from the database.
    """

    new: list[Message] = field(default_factory=list)
    changed: dict[Message, set[str]] = field(default_factory=dict)
    is_recount: bool = False


def update_summary(conversation: Conversation, messages: MessageChanges, changes: UnitOfWork) -> None:
    """Update one conversation's summary after a batch changed its messages."""
    if messages.is_recount or any(fields & {"timestamp", "sent_order", "kind"} for fields in messages.changed.values()):
        changes.set(conversation, **conversation.summarize())
        return
    rows = [*messages.new, *messages.changed]
    until = max([conversation.read_position, *map(conversation_summary.read_until, rows)])
    is_new = conversation.last_message_id is None  # a new conversation has no messages besides `rows`
    last = _find_last_message(conversation, rows)
    if last is not None:
        changes.set(conversation, **conversation_summary.last_message_fields(last))
    is_read_further = changes.set(conversation, **read_fields(until))
    if (is_read_further and not is_new) or any("is_history" in fields for fields in messages.changed.values()):
        unread = conversation.count_unread(until)
    else:
        new_unread = [
            row
            for row in messages.new
            if conversation_summary.counts_as_unread(row, conversation.kind)
            and conversation_summary.position(row) > until
        ]
        unread = conversation.unread_count + len(new_unread)
    changes.set(conversation, unread_count=unread)


def _find_last_message(conversation: Conversation, rows: Iterable[Message]) -> Message | None:
    """Return the conversation's last message if it is one of `rows`, the new and changed messages; otherwise None."""
    pk = conversation.last_message_id
    last_key = pk and (
        conversation.last_message_kind != conversation_summary.SUPPLEMENT,
        conversation.last_message_at,
        conversation.last_sent_order,
        conversation.last_key_id,
        conversation.last_message_from_me,
    )
    later = [row for row in rows if not last_key or row.pk == pk or conversation_summary.preview_key(row) > last_key]
    return max(later, key=conversation_summary.preview_key, default=None)
