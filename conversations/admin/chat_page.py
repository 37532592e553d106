"""Loads one page of a conversation's chat messages for display, with a constant number of queries."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils import timezone

from conversations.admin.display_names import DisplayNames, referenced_contacts, referenced_keys
from conversations.admin.thread_view import Day, group_by_day
from conversations.db.keyset import InvalidCursor
from conversations.models import Contact, ContactAddress, Conversation, Message

MESSAGES_PER_PAGE = 50


@dataclass(frozen=True)
class ChatPage:
    """One page of chat messages, grouped by day.

    Attributes:
        days: the days on which the page's messages were sent, oldest first.
        older_cursor: cursor of the page with older messages, or "" if there is none.
        newer_cursor: cursor of the page with newer messages, or "" if there is none.
        is_cursor_invalid: whether the requested cursor was invalid, so that the page has the latest messages.
    """

    days: list[Day]
    older_cursor: str
    newer_cursor: str
    is_cursor_invalid: bool = False


def load_chat_page(conversation: Conversation, cursor: str = "") -> ChatPage:
    """Load the page of chat messages at `cursor`, or the latest page if the cursor is empty or invalid."""
    is_cursor_invalid = False
    try:
        page = Message.objects.for_conversation(conversation.pk, cursor=cursor, limit=MESSAGES_PER_PAGE)
    except InvalidCursor:
        page = Message.objects.for_conversation(conversation.pk, limit=MESSAGES_PER_PAGE)
        is_cursor_invalid = True
    return ChatPage(
        days_of(conversation, page.rows),
        older_cursor=page.next_cursor,
        newer_cursor=page.previous_cursor if cursor else "",  # the first page is the newest
        is_cursor_invalid=is_cursor_invalid,
    )


def days_of(conversation: Conversation, rows: Sequence[Message]) -> list[Day]:
    """Return messages of a conversation, latest first, prepared for the template."""
    return group_by_day(
        rows,
        _load_display_names(conversation, rows),
        zone=timezone.get_current_timezone(),
        is_group=conversation.kind != Conversation.Kind.DIRECT,
    )


def _load_display_names(conversation: Conversation, rows: Sequence[Message]) -> DisplayNames:
    instance_id, keys = conversation.instance_id, referenced_keys(rows)
    addresses = ContactAddress.objects.filter(instance=instance_id, key__in=keys)
    contact_ids = dict(addresses.filter(contact__isnull=False).values_list("key", "contact_id"))
    contacts = Contact.objects.fetch_many(referenced_contacts(rows) | set(contact_ids.values()))
    own_jids = (address.jid for address in conversation.instance.own_addresses)
    return DisplayNames(contacts, contact_ids, *own_jids)
