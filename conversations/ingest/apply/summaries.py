"""Updates the summaries of conversations: the last message, the read watermark and the unread count.

A new message is compared with the stored summary. If a changed message could lower a value of the summary, the value is
recomputed from the database, for all conversations of a batch together.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from conversations.ingest.apply.unit_of_work import UnitOfWork
from conversations.models import Conversation, Message, conversation_summary, summary_of_messages
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

    @property
    def may_lower(self) -> bool:
        """Whether the changes could lower a value of the summary, which then has to be recomputed."""
        decisive = {"timestamp", "sent_order", "kind"}
        return self.is_recount or any(fields & decisive for fields in self.changed.values())


def update_summaries(changed: Mapping[Conversation, MessageChanges], changes: UnitOfWork) -> None:
    """Update the summaries of conversations whose messages a batch changed."""
    summarize([conversation for conversation, messages in changed.items() if messages.may_lower], changes)
    recounted = []
    for conversation, messages in changed.items():
        if not messages.may_lower and _raise(conversation, messages, changes):
            recounted.append(conversation)
    places = {conversation: conversation.read_position for conversation in recounted}
    counts = summary_of_messages.count_unread(places, Message.objects.all())
    for conversation in recounted:
        changes.set(conversation, unread_count=counts[conversation.pk])


def summarize(conversations: Collection[Conversation], changes: UnitOfWork) -> None:
    """Compute the summaries of conversations from the database."""
    computed = summary_of_messages.summarize(conversations, Message.objects.all())
    for conversation in conversations:
        changes.set(conversation, **computed[conversation.pk])


def _raise(conversation: Conversation, messages: MessageChanges, changes: UnitOfWork) -> bool:
    """Compare new and changed messages with a summary; return whether the unread messages have to be counted again."""
    rows = [*messages.new, *messages.changed]
    until = max([conversation.read_position, *map(conversation_summary.read_until, rows)])
    is_new = conversation.last_message_id is None  # a new conversation has no messages besides `rows`
    last = _find_last_message(conversation, rows)
    if last is not None:
        changes.set(conversation, **conversation_summary.last_message_fields(last))
    is_read_further = changes.set(conversation, **read_fields(until))
    if (is_read_further and not is_new) or any("is_history" in fields for fields in messages.changed.values()):
        return True
    new_unread = [
        row
        for row in messages.new
        if conversation_summary.counts_as_unread(row, conversation.kind) and conversation_summary.position(row) > until
    ]
    changes.set(conversation, unread_count=conversation.unread_count + len(new_unread))
    return False


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
