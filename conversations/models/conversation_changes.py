"""The changes of one conversation or of many at once: computes the fields that each change writes, without I/O."""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from django.utils.translation import gettext_noop as _

from conversations.models.conversation_summary import Position

Fields = dict[str, Any]


class ChangedConversation(Protocol):
    """The fields of a conversation that the changes read."""

    last_message_at: dt.datetime
    last_sent_order: int | None
    read_until: dt.datetime
    unread_count: int
    labels: Mapping[str, bool]

    @property
    def read_position(self) -> Position:
        """The read watermark."""

    @property
    def marked_position(self) -> Position:
        """The place up to which the conversation was marked as read here."""

    def count_unread(self, until: Position) -> int:
        """Count the unread messages after a place."""


def read_fields(until: Position) -> Fields:
    """Return the fields of the read watermark."""
    return {"read_until": until[0], "read_until_order": until[1]}


def marked_fields(until: Position) -> Fields:
    """Return the fields of the place up to which the conversation was marked as read here."""
    return {"marked_read_until": until[0], "marked_read_until_order": until[1]}


# --- read and unread --------------------------------------------------------------------------------------------------
def read_all(row: ChangedConversation) -> Fields:
    """Mark the conversation as read up to its last message."""
    return {**_read_up_to(row, _last_position(row)), "unread_count": 0, "unread_mark": None}


def read_until(row: ChangedConversation, place: Position) -> Fields:
    """Mark the conversation as read up to a place, at least; this counts the unread messages after it."""
    if place >= _last_position(row):
        return read_all(row)
    fields = _read_up_to(row, place)
    if place > row.read_position:
        fields["unread_count"] = row.count_unread(place)
    return fields


def mark_unread(row: ChangedConversation) -> Fields:
    """Mark the conversation as unread, until something after its last message is read, or it is marked as read.

    So a conversation with unread messages stays unread when the phone reads these messages.
    """
    return {"unread_mark": max(row.last_message_at, row.read_until)}


def _last_position(row: ChangedConversation) -> Position:
    return row.last_message_at, row.last_sent_order or 0


def _read_up_to(row: ChangedConversation, place: Position) -> Fields:
    marked = max(row.marked_position, place)
    return {**read_fields(max(row.read_position, marked)), **marked_fields(marked)}


# --- labels -----------------------------------------------------------------------------------------------------------
def attach(row: ChangedConversation, label: str) -> Fields:
    """Attach a label."""
    return {"labels": {**row.labels, label: True}}


def detach(row: ChangedConversation, label: str) -> Fields:
    """Detach a label."""
    return {"labels": {**row.labels, label: False}} if row.labels.get(label) else {}


# --- by name ----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Action:
    """A change with a name.

    Attributes:
        title: the name for people, in English.
        change: returns the fields that the change writes; its arguments are the row, and the argument if there is one.
        argument: the name of the argument; "" for none.
    """

    title: str
    change: Callable[..., Fields]
    argument: str = ""


def _set(title: str, **fields: Any) -> Action:
    return Action(title, lambda _: fields)


LABEL_ARGUMENT = "label"  # the argument of the actions on labels
ACTIONS = {
    "mark_read": Action(_("Mark as read"), read_all),
    "mark_unread": Action(_("Mark as unread"), mark_unread),
    "archive": _set(_("Archive"), is_archived=True),
    "unarchive": _set(_("Unarchive"), is_archived=False),
    "pin": _set(_("Pin"), is_pinned=True),
    "unpin": _set(_("Unpin"), is_pinned=False),
    "mute": Action(_("Mute"), lambda _, muted_until: {"muted_until": muted_until}, "muted_until"),
    "unmute": _set(_("Unmute"), muted_until=None),
    "add_label": Action(_("Add a label"), attach, LABEL_ARGUMENT),
    "remove_label": Action(_("Remove a label"), detach, LABEL_ARGUMENT),
}
