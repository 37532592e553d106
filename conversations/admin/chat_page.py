"""One page of a conversation, read for the screen by a handful of queries, however many people speak in it."""

from dataclasses import dataclass

from django.utils import timezone

from cachelayer import Page
from conversations.admin.display_names import DisplayNames, addresses
from conversations.admin.thread_view import Day, group_by_day
from conversations.db.keyset import InvalidCursor
from conversations.models import Contact, ContactAddress, Conversation, Message

BUBBLES = 50


@dataclass(frozen=True)
class ChatPage:
    """Days of bubbles, and cursors to the pages around them; `is_lost` says that the cursor asked for was none."""

    days: list[Day]
    older: str
    newer: str
    is_lost: bool = False


def read(row: Conversation, cursor: str = "") -> ChatPage:
    """Read the page at `cursor`, or the latest messages where there is no such place."""
    is_lost = False
    try:
        page = Message.objects.for_conversation(row.pk, cursor=cursor, limit=BUBBLES)
    except InvalidCursor:
        page = Message.objects.for_conversation(row.pk, limit=BUBBLES)
        is_lost = True
    bubbles = group_by_day(
        page.rows,
        _people(row, page),
        zone=timezone.get_current_timezone(),
        is_group=row.kind != Conversation.Kind.DIRECT,
    )
    return ChatPage(bubbles, older=page.next_cursor, newer=page.previous_cursor, is_lost=is_lost)


def _people(row: Conversation, page: Page[Message]) -> DisplayNames:
    found = ContactAddress.objects.filter(instance=row.instance_id, key__in=addresses(page.rows))
    known = dict(found.values_list("key", "contact_id"))
    senders = {message.sender_id for message in page.rows if message.sender_id}
    return DisplayNames(Contact.objects.fetch_many(senders | set(known.values())), known, row.instance.owner_jid)
