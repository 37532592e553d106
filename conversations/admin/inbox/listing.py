"""Loads the list of the inbox: a page of conversations, or what a search finds, with a constant number of queries."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from django.utils import timezone

from conversations.access.records import Shown
from conversations.admin.display_names import conversation_display_name
from conversations.admin.inbox.query import ListQuery
from conversations.admin.inbox.rows import ChatRow, chat_row, instance_name, short_time
from conversations.admin.row_urls import row_urls
from conversations.db.keyset import InvalidCursor
from conversations.models import EPOCH, Conversation, Instance, Message
from conversations.models.instance_scoped import Instances
from conversations.search.find import find_conversations, find_messages
from conversations.search.query import parse
from conversations.search.snippet import Snippet, snippet

ROWS_PER_PAGE = 50
OPENED = "admin:inbox_conversation"  # the name of the URL of an opened conversation
FOUND_CHATS, FOUND_MESSAGES = 20, 30  # of a search


@dataclass(frozen=True)
class FoundMessage:
    """A message that a search finds.

    Attributes:
        path: the path of the page with the conversation opened.
        pieces: the parts of the text, each with whether it is a match.
    """

    pk: int
    path: str
    name: str
    number: str
    time_text: str
    from_me: bool
    pieces: list[tuple[str, bool]]


@dataclass(frozen=True)
class Found:
    """What the list shows.

    Attributes:
        rows: conversations.
        messages: messages that a search found.
        older, newer: the cursors of the next page and the page before; "" if there are none.
        shown: the conversations of which the list shows a message.
    """

    rows: list[ChatRow]
    messages: list[FoundMessage] = field(default_factory=list)
    older: str = ""
    newer: str = ""
    shown: list[Shown] = field(default_factory=list)


def load_list(query: ListQuery, instances: Instances, *, shows_text: bool) -> Found:
    """Return what the list shows of some instances; messages only if `shows_text` is true."""
    if query.q:
        return _search(query, instances, shows_text=shows_text)
    page_of = Conversation.objects.for_instance
    try:
        page = page_of(instances, cursor=query.after, limit=ROWS_PER_PAGE, **query.filters)
    except InvalidCursor:
        page = page_of(instances, limit=ROWS_PER_PAGE, **query.filters)
    return Found(
        _prepare(page.rows, shows_text=shows_text),
        older=page.next_cursor,
        newer=page.previous_cursor if query.after else "",
        shown=_shown(page.rows),
    )


def _search(query: ListQuery, instances: Instances, *, shows_text: bool) -> Found:
    words = parse(query.q)
    chats = find_conversations(words, instances, limit=FOUND_CHATS).rows
    if not shows_text:
        return Found(_prepare(chats, shows_text=False))
    rows = find_messages(words, instances, limit=FOUND_MESSAGES).rows
    chats_of_rows = Conversation.objects.fetch_many(row.conversation_id for row in rows)
    numbers = Instance.objects.fetch_many(row.instance_id for row in rows)
    now, path_of = timezone.localtime(), row_urls(OPENED)
    messages = [
        FoundMessage(
            pk=row.pk,
            path=path_of(row.conversation_id),
            name=conversation_display_name(chats_of_rows[row.conversation_id]),
            number=instance_name(numbers[row.instance_id]),
            time_text=short_time(timezone.localtime(row.timestamp), now),
            from_me=row.from_me,
            pieces=_pieces(snippet(row.text, words.texts)),
        )
        for row in rows
        if row.conversation_id in chats_of_rows and row.instance_id in numbers
    ]
    return Found(_prepare(chats, shows_text=True), messages, shown=[*_shown(chats), *_shown(chats_of_rows.values())])


def _pieces(found: Snippet) -> list[tuple[str, bool]]:
    """Return the parts of a snippet, each with whether it is a match."""
    text, marks = found.text, found.marks
    pieces, end = [], 0
    for first, last in marks:
        pieces += [(text[end:first], False), (text[first:last], True)]
        end = last
    return [(part, is_match) for part, is_match in (*pieces, (text[end:], False)) if part]


def _prepare(rows: Sequence[Conversation], *, shows_text: bool) -> list[ChatRow]:
    instances = Instance.objects.fetch_many(row.instance_id for row in rows)
    own = (row.last_message_id for row in rows if row.last_message_from_me and row.last_message_id)
    last = Message.objects.fetch_many(own) if shows_text else {}
    now, path_of = timezone.now(), row_urls(OPENED)
    return [
        chat_row(
            row,
            instances.get(row.instance_id),
            last.get(row.last_message_id or 0),
            now,
            shows_text=shows_text,
            path=path_of(row.pk),
        )
        for row in rows
    ]


def _shown(rows: Iterable[Conversation]) -> list[Shown]:
    return [Shown(row.instance_id, row.pk, row.jid) for row in rows if row.last_message_at != EPOCH]
