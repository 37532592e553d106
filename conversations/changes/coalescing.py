"""Reduces successive entries of the log to one change for each row that they name."""

from collections.abc import Iterable
from typing import NamedTuple

from conversations.changes.log import Entry, Position
from conversations.models import Change

RESET = Change.Kind.RESET.value


class Subject(NamedTuple):
    """What a change is about: one row of a resource; or, without a row, all rows of an instance or of all instances."""

    resource: str
    row_id: int | None
    instance_id: int | None


def coalesce(entries: Iterable[Entry], limit: int) -> tuple[list[Entry], Position | None]:
    """Return the first entry of each subject, in the order of the log.

    The row that is read afterwards has the state after all entries. Where an entry follows that moves the row to
    another conversation, the returned entry names the new conversation.

    Args:
        entries: successive entries.
        limit: maximum number of subjects.

    Returns:
        The entries, and the position after the last entry that was regarded; None if that is the end.
    """
    found: dict[Subject, Entry] = {}
    position = None
    for entry in entries:
        subject = Subject(entry.resource, entry.row_id, entry.instance_id)
        if subject not in found and len(found) == limit:
            return list(found.values()), position
        first = found.setdefault(subject, entry)
        found[subject] = first._replace(conversation_id=entry.conversation_id)
        position = entry.position
    return list(found.values()), None
