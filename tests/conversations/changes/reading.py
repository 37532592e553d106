"""Reads the log in tests. On PostgreSQL, changes are read only after their transaction has ended."""

from collections.abc import Callable

from conversations.changes import log
from conversations.changes.log import Entry, Position, Selection

EVERYTHING = Selection()


def entries_after(position: Position, selection: Selection = EVERYTHING) -> list[Entry]:
    """Return all selected changes after a position."""
    return log.read(position, selection, limit=10_000).entries


def logged_by(write: Callable[[], object]) -> set[tuple[str, str, int | None]]:
    """Return the resource, the kind and the primary key of the changes that a function makes."""
    before = log.head()
    write()
    return {(entry.resource, entry.kind, entry.row_id) for entry in entries_after(before)}
