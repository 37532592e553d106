"""Reads the present rows of changes through the cache: one read for each row, however often it has changed."""

from collections.abc import Collection
from typing import Any

from conversations.changes.log import Entry, Selection
from conversations.models import Change, Contact, Conversation, Instance, Message

_MANAGERS: dict[str, Any] = {
    Change.Resource.INSTANCE: Instance.objects,
    Change.Resource.CONTACT: Contact.objects,
    Change.Resource.CONVERSATION: Conversation.objects,
    Change.Resource.MESSAGE: Message.objects,
    Change.Resource.PARTICIPANTS: Conversation.objects,
}


def present_rows(entries: Collection[Entry], selection: Selection) -> dict[tuple[str, int], Any]:
    """Return (resource, primary key) → the row, for the rows that exist and are selected.

    The local cache is skipped, because it may be behind a change that another process has made.
    """
    found: dict[tuple[str, int], Any] = {}
    for resource, manager in _MANAGERS.items():
        pks = [entry.row_id for entry in entries if entry.resource == resource and entry.row_id is not None]
        rows = manager.fetch_many(pks, fresh=True) if pks else {}
        found |= {(str(resource), pk): row for pk, row in rows.items() if _is_selected(row, selection)}
    return found


def _is_selected(row: Any, selection: Selection) -> bool:
    """Return whether a row belongs to the selection; a message may have moved to another conversation."""
    return not (
        isinstance(row, Message)
        and selection.conversations is not None
        and row.conversation_id not in selection.conversations
    )
