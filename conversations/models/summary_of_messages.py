"""What a conversation shows of its messages: the last one, how far they are read, and how many are unread."""

import datetime as dt
from collections.abc import Collection
from typing import Any

from django.db import models
from django.db.models import F, Max, Q, QuerySet

from conversations.evolution.coerce import EPOCH
from conversations.evolution.status import READ
from conversations.models import conversation_summary
from conversations.models.base import TimestampedModel
from conversations.models.conversation_changes import read_fields
from conversations.models.conversation_summary import Position, SummarizedMessage

# The times of the messages that decide the summary, besides the unread count.
DECISIVE_TIMES = {
    "read_inbound": Max("timestamp", filter=Q(from_me=False, status__gte=READ)),
    "from_device": Max("timestamp", filter=Q(from_me=True, from_device=True)),
    "shown": Max("timestamp", filter=~Q(kind=conversation_summary.SUPPLEMENT)),
    "any": Max("timestamp"),
}


class SummaryOfMessages(TimestampedModel):
    """The fields of a conversation that follow from its messages, and from marking it as read or unread.

    The fields `last_message*` describe the message with the greatest `conversation_summary.sort_key`. If a conversation
    has no messages, `last_message_at` is the epoch, so that lists can be ordered without nulls. `unread_count` counts
    the inbound messages after the read watermark: the place `(read_until, read_until_order)`.
    """

    last_message = models.ForeignKey("conversations.Message", models.SET_NULL, null=True, blank=True, related_name="+")
    last_message_at = models.DateTimeField(default=EPOCH)
    last_message_text = models.CharField(max_length=255, blank=True, default="")
    last_message_kind = models.CharField(max_length=24, blank=True, default="")
    last_message_from_me = models.BooleanField(default=False)

    unread_count = models.PositiveIntegerField(default=0)
    read_until = models.DateTimeField(default=EPOCH, help_text="inbound messages up to this time are read")
    read_until_order = models.BigIntegerField(default=0, editable=False, help_text="and up to this `sent_order`")
    marked_read_until = models.DateTimeField(default=EPOCH, help_text="up to where mark-read was called here")
    marked_read_until_order = models.BigIntegerField(default=0, editable=False, help_text="and up to this `sent_order`")
    unread_mark = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="marked as unread, until messages after this time are read"
    )

    kind: Any  # a field of the conversation
    messages: Any  # the relation to the messages

    # Fields of the last message, in rows of queries that annotate them.
    last_key_id: str
    last_sent_order: int | None

    class Meta:
        abstract = True

    @property
    def is_marked_unread(self) -> bool:
        """Whether the conversation was marked as unread here, and not read since; part of `IS_UNREAD`."""
        return self.unread_mark is not None and self.unread_mark >= self.read_until

    def summarize(self) -> dict[str, Any]:
        """Compute the conversation's summary fields from the messages in the database; see `conversation_summary`."""
        times = self.messages.aggregate(**DECISIVE_TIMES).values()
        fields = self.summary_of(list(self.messages.filter(timestamp__in=[time for time in times if time])))
        return {**fields, "unread_count": self.count_unread((fields["read_until"], fields["read_until_order"]))}

    def summary_of(self, rows: Collection[SummarizedMessage]) -> dict[str, Any]:
        """Return the summary fields, besides the unread count; `rows` are the messages at the `DECISIVE_TIMES`.

        Python, not SQL, picks among the messages of one second, because a database collation may order key ids
        differently.
        """
        return {
            **read_fields(max([self.marked_position, *map(conversation_summary.read_until, rows)])),
            **conversation_summary.last_message_fields(max(rows, key=conversation_summary.preview_key, default=None)),
        }

    @property
    def read_position(self) -> Position:
        """The read watermark; inbound messages up to this place are read."""
        return self.read_until, self.read_until_order

    @property
    def marked_position(self) -> Position:
        """The place up to which mark-read was called."""
        return self.marked_read_until, self.marked_read_until_order

    def count_unread(self, until: Position) -> int:
        """Count the messages after `until` for which `conversation_summary.counts_as_unread` is true."""
        return self.unread_messages(until).count()

    def unread_messages(self, until: Position) -> QuerySet[Any]:
        """Return the messages after `until` for which `conversation_summary.counts_as_unread` is true."""
        if self.kind in conversation_summary.UNCOUNTED_CONVERSATION_KINDS:
            return self.messages.none()  # type: ignore[no-any-return]  # `messages` is declared as Any
        return unread_after(self.messages.all(), *until)


def unread_after(messages: QuerySet[Any], time: dt.datetime | F, order: int | F) -> QuerySet[Any]:
    """Return those of the messages of counted conversations that come after a place and count as unread."""
    rows = messages.filter(from_me=False, is_history=False, timestamp__gte=time)
    rows = rows.exclude(kind__in=conversation_summary.UNCOUNTED_MESSAGE_KINDS)
    return rows.exclude(timestamp=time, sent_order__lte=order)
