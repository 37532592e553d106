"""Reads the part of a thread around one of its messages, the anchor.

Each step is a cached read that an index serves, so the number of queries does not depend on the length of the thread.
"""

import datetime as dt
from dataclasses import dataclass

from conversations.db.keyset import cursor_at
from conversations.models.conversation import Conversation
from conversations.models.message import LATEST_FIRST, OLDEST_FIRST, Message


@dataclass(frozen=True)
class Window:
    """Some messages of a conversation, latest first.

    Attributes:
        rows: the messages; [] if the conversation has none.
        anchor: the message for which they were read; None if the conversation has no messages.
        found_oldest: whether the oldest message of the conversation is among the rows.
        found_newest: whether the newest message of the conversation is among the rows.
        older_cursor: the cursor of the page of older messages; "" if there are none.
        newer_cursor: the cursor of the page of newer messages; "" if the conversation has no messages.
    """

    rows: list[Message]
    anchor: Message | None
    found_oldest: bool = True
    found_newest: bool = True
    older_cursor: str = ""
    newer_cursor: str = ""


def read_window(conversation: Conversation, anchor: Message | None, *, before: int, after: int) -> Window:
    """Return the anchor with up to `before` older messages and up to `after` newer messages of its conversation."""
    if anchor is None:
        return Window([], None)
    page = Message.objects.for_conversation
    # One more row than wanted tells whether the end of the thread was found. Large rows end a page early.
    older = page(conversation, cursor=cursor_at(anchor, LATEST_FIRST, "next"), limit=before + 1)
    newer = page(conversation, cursor=cursor_at(anchor, LATEST_FIRST, "previous"), limit=after + 1).rows
    rows = [*newer[len(newer) - min(after, len(newer)) :], anchor, *older.rows[:before]]
    found_oldest = len(older.rows) <= before and not older.next_cursor
    found_newest = rows[0] == newest(conversation)
    return Window(
        rows,
        anchor,
        found_oldest=found_oldest,
        found_newest=found_newest,
        older_cursor="" if found_oldest else cursor_at(rows[-1], LATEST_FIRST, "next"),
        newer_cursor=cursor_at(rows[0], LATEST_FIRST, "previous"),
    )


def newest(conversation: Conversation) -> Message | None:
    """Return the newest message of a conversation, if it has one."""
    return next(iter(Message.objects.for_conversation(conversation, limit=1).rows), None)


def first_since(conversation: Conversation, time: dt.datetime) -> Message | None:
    """Return the first message from a time on; the newest message if there is none."""
    rows = Message.objects.fetch_rows(
        f"messages:{conversation.pk}",
        lambda: Message.objects.filter(conversation=conversation, timestamp__gte=time).order_by(*OLDEST_FIRST)[:1],
        since=time,
    )
    return rows[0] if rows else newest(conversation)


def first_unread(conversation: Conversation) -> Message | None:
    """Return the first message that counts as unread; the newest message if there is none."""
    position = conversation.read_position
    rows = Message.objects.fetch_rows(
        f"messages:{conversation.pk}",
        lambda: conversation.unread_messages(position).order_by(*OLDEST_FIRST)[:1],
        unread_after=position,
    )
    return rows[0] if rows else newest(conversation)


def by_id(conversation: Conversation, pk: int) -> Message:
    """Return a message of a conversation.

    Raises:
        Message.DoesNotExist: no message of this conversation has this primary key.
    """
    row = Message.objects.fetch(pk)
    if row.conversation_id != conversation.pk:
        raise Message.DoesNotExist
    return row


def quoted_by(conversation: Conversation, pk: int) -> Message:
    """Return the message that another message of the same conversation quotes.

    Raises:
        Message.DoesNotExist: there is no such message, or it quotes none that is stored in this conversation.
    """
    key_id = by_id(conversation, pk).quoted_key_id
    rows = Message.objects.fetch_rows(
        f"messages:{conversation.pk}",
        lambda: Message.objects.filter(
            instance=conversation.instance_id, conversation=conversation, key_id=key_id
        ).order_by("id")[:1],
        key_id=key_id,
    )
    if not key_id or not rows:
        raise Message.DoesNotExist
    return rows[0]
