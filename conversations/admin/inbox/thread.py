"""Loads the part of a conversation's messages that the inbox shows, with a constant number of queries."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from conversations.admin.chat_page import MESSAGES_PER_PAGE, days_of
from conversations.admin.inbox.query import parse_id
from conversations.admin.thread_view import Day
from conversations.db.keyset import InvalidCursor
from conversations.models import Conversation, Message
from conversations.models.thread import by_id, first_unread, newest, quoted_by, read_window

MESSAGES_AROUND = 25  # before and after a message that is opened
MESSAGES_AFTER_UNREAD = 100
LATEST = "latest"  # the value of `page` for the newest messages


@dataclass(frozen=True)
class Thread:
    """Some messages of a conversation, grouped by day.

    Attributes:
        days: the days on which the messages were sent, oldest first.
        older, newer: the cursors of the pages with older and with newer messages; "" if there are none.
        first_unread: the primary key of the first unread message; None if there is none.
    """

    days: list[Day]
    older: str
    newer: str
    first_unread: int | None = None


def load_thread(conversation: Conversation, query: Mapping[str, Any]) -> Thread:
    """Return the messages that `at` (the id of a message) or `page` (a cursor, or `latest`) of a query string ask for.

    Without them, or if they are wrong, the thread begins with the first unread message or with the newest one.
    """
    if "at" in query and (anchor := _message(conversation, query["at"])):
        return _around(conversation, anchor, MESSAGES_AROUND, MESSAGES_AROUND)
    cursor = query.get("page", "")
    if cursor not in ("", LATEST):
        try:
            page = Message.objects.for_conversation(conversation, cursor=cursor, limit=MESSAGES_PER_PAGE)
        except InvalidCursor:
            pass
        else:
            if page.rows:
                newer = "" if page.rows[0] == newest(conversation) else page.previous_cursor
                return Thread(days_of(conversation, page.rows), page.next_cursor, newer)
    if cursor != LATEST and conversation.unread_count and (anchor := first_unread(conversation)):
        return _around(conversation, anchor, MESSAGES_PER_PAGE - 1, MESSAGES_AFTER_UNREAD, first=anchor.pk)
    page = Message.objects.for_conversation(conversation, limit=MESSAGES_PER_PAGE)
    return Thread(days_of(conversation, page.rows), page.next_cursor, "")


def quoted_message(conversation: Conversation, pk: str) -> int | None:
    """Return the primary key of the message that the message with the id `pk` quotes, if it is in the conversation."""
    try:
        return quoted_by(conversation, parse_id(pk) or 0).pk
    except Message.DoesNotExist:
        return None


def _around(
    conversation: Conversation, anchor: Message, before: int, after: int, *, first: int | None = None
) -> Thread:
    window = read_window(conversation, anchor, before=before, after=after)
    newer = "" if window.found_newest else window.newer_cursor
    return Thread(days_of(conversation, window.rows), window.older_cursor, newer, first)


def _message(conversation: Conversation, pk: str) -> Message | None:
    try:
        return by_id(conversation, parse_id(pk) or 0)
    except Message.DoesNotExist:
        return None
