"""Reduces successive entries of the log to one change for each row that they name."""

from collections.abc import Iterable
from typing import NamedTuple

from conversations.changes.log import Entry, Position


class Subject(NamedTuple):
    """What a change is about: one row of a resource; or, without a row, all rows of an instance or of all instances."""

    resource: str
    row_id: int | None
    instance_id: int | None


class Step(NamedTuple):
    """One change of a reader's copy.

    Attributes:
        entry: the first entry about a subject, with the conversation of the last one, to which the row may have moved.
        end: the position of a reader that has made this step and those before it.
    """

    entry: Entry
    end: Position


def coalesce(entries: Iterable[Entry]) -> list[Step]:
    """Return one step for each subject, in the order of the log.

    The row that is read afterwards has the state after all entries. A reader that stops between two steps may get a
    later entry about an earlier subject once more.
    """
    found: dict[Subject, Entry] = {}
    ends: list[Position] = []
    for entry in entries:
        subject = Subject(entry.resource, entry.row_id, entry.instance_id)
        if subject not in found:
            found[subject] = entry
            ends.append(entry.position)
        else:
            found[subject] = found[subject]._replace(conversation_id=entry.conversation_id)
            ends[-1] = entry.position
    return [Step(*pair) for pair in zip(found.values(), ends, strict=True)]
