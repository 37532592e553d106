"""Updates a conversation's summary: its last message, its read watermark and its unread count.

A new message is compared with the stored summary. If a changed message could lower a value of the summary, the value is
recomputed from the database.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from django.db.models import Count, F

from conversations.ingest.apply.unit_of_work import UnitOfWork
from conversations.models import Conversation, Message, conversation_summary
from conversations.models.conversation_changes import read_fields
from conversations.models.summary_of_messages import DECISIVE_TIMES, unread_after


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


def summarize(conversations: Collection[Conversation], changes: UnitOfWork) -> None:
    """Do what `Conversation.summarize` does, for many direct conversations with as many queries as for one.

    The recorded changes are saved, except those of the unread counts.
    """
    messages = Message.objects.filter(conversation__any_of=[conversation.pk for conversation in conversations])
    found = messages.values_list("conversation").annotate(**DECISIVE_TIMES)
    decisive = {(pk, time) for pk, *times in found for time in times if time}
    rows: defaultdict[int, list[Message]] = defaultdict(list)
    for row in messages.filter(timestamp__any_of={time for _, time in decisive}):
        if (row.conversation_id, row.timestamp) in decisive:
            rows[row.conversation_id].append(row)
    for conversation in conversations:
        changes.set(conversation, **conversation.summary_of(rows[conversation.pk]))
    changes.save()
    unread = unread_after(messages, F("conversation__read_until"), F("conversation__read_until_order"))
    counts = dict(unread.values_list("conversation").annotate(Count("pk")))
    for conversation in conversations:
        changes.set(conversation, unread_count=counts.get(conversation.pk, 0))


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
