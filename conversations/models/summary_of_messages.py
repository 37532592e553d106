"""What a conversation shows of its messages: the last one, how far they are read, and how many are unread.

The functions that get conversations take as many queries for many of them as for one.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any, TypeVar

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import F, Func, QuerySet
from django.db.models.expressions import RawSQL
from django.db.models.sql.compiler import SQLCompiler

from conversations.db.for_each import given, select_for_each
from conversations.evolution.coerce import EPOCH
from conversations.evolution.status import READ
from conversations.models import conversation_summary
from conversations.models.base import TimestampedModel
from conversations.models.conversation_changes import read_fields
from conversations.models.conversation_summary import Position, SummarizedMessage

_PLACE: "dict[str, models.Field[Any, Any]]" = {
    "conversation": models.BigIntegerField(),
    "time": models.DateTimeField(),
    "sent_order": models.BigIntegerField(),
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
        return summarize([self], self.messages.all())[self.pk]

    def summary_of(self, rows: Collection[SummarizedMessage]) -> dict[str, Any]:
        """Return the summary fields, besides the unread count; `rows` are the messages that decide them."""
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


class _ByCodePoint(Func):
    """Orders a column of texts as Python orders texts, whatever the collation of the database is."""

    template = "%(expressions)s"

    def as_postgresql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> Any:
        return self.as_sql(compiler, connection, template='%(expressions)s COLLATE "C"')


Row = TypeVar("Row", bound=SummaryOfMessages)


def summarize(conversations: Collection[Row], messages: QuerySet[Any]) -> dict[int, dict[str, Any]]:
    """Compute the summary fields of conversations from the messages in the database, by primary key."""
    if not conversations:
        return {}  # building the queries would take time for nothing
    rows = _decisive_messages([conversation.pk for conversation in conversations], messages)
    summaries = {conversation: conversation.summary_of(rows[conversation.pk]) for conversation in conversations}
    places = {row: (fields["read_until"], fields["read_until_order"]) for row, fields in summaries.items()}
    counts = count_unread(places, messages)
    return {row.pk: {**fields, "unread_count": counts[row.pk]} for row, fields in summaries.items()}


def count_unread(places: Mapping[Row, Position], messages: QuerySet[Any]) -> dict[int, int]:
    """Count the unread messages after a place in each conversation, by primary key."""
    uncounted = conversation_summary.UNCOUNTED_CONVERSATION_KINDS
    counted = {row.pk: place for row, place in places.items() if row.kind not in uncounted}
    if not counted:
        return dict.fromkeys([row.pk for row in places], 0)
    unread = unread_after(messages.filter(conversation=given("conversation")), given("time"), given("sent_order"))
    count = unread.annotate(count=Func(F("pk"), function="count")).values("count")
    found = select_for_each(_PLACE, ((pk, *place) for pk, place in counted.items()), count)
    return {row.pk: 0 for row in places} | dict(found)


def _decisive_messages(conversations: Iterable[int], messages: QuerySet[Any]) -> Mapping[int, list[Any]]:
    """Return the messages that decide the summaries of conversations, besides the unread counts, by conversation."""
    rows = messages.filter(conversation=given("conversation"))
    by_place = ("-timestamp", "-sent_order")
    by_sort_key = (*by_place, _ByCodePoint("key_id").desc(), "-from_me")
    last = (
        rows.filter(from_me=False, status__gte=READ).order_by(*by_place),
        rows.filter(from_me=True, from_device=True).order_by(*by_place),
        rows.exclude(kind=conversation_summary.SUPPLEMENT).order_by(*by_sort_key),
        rows.order_by(*by_sort_key),
    )
    queries = [query.values("pk")[:1] for query in last]
    found = select_for_each({"conversation": _PLACE["conversation"]}, ((pk,) for pk in conversations), *queries)
    decisive: defaultdict[int, list[Any]] = defaultdict(list)
    for row in messages.filter(pk__any_of={pk for _, *pks in found for pk in pks if pk}):
        decisive[row.conversation_id].append(row)
    return decisive


def unread_after(messages: QuerySet[Any], time: dt.datetime | RawSQL, order: int | RawSQL) -> QuerySet[Any]:
    """Return those of the messages of counted conversations that come after a place and count as unread."""
    rows = messages.filter(from_me=False, is_history=False, timestamp__gte=time)
    rows = rows.exclude(kind__in=conversation_summary.UNCOUNTED_MESSAGE_KINDS)
    return rows.exclude(timestamp=time, sent_order__lte=order)
