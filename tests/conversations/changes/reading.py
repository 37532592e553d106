"""Reads the log in tests. On PostgreSQL, changes are read only after all transactions before theirs have ended."""

from collections.abc import Callable

from django.db import connection

from conversations.changes import log
from conversations.changes.log import Entry, Position, Selection
from tests.waiting import wait_until

EVERYTHING = Selection()
_NEXT_ID = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
_ELSEWHERE = """
    SELECT 1 FROM pg_stat_activity WHERE backend_xid::text::bigint < %s
    AND (datname <> current_database() OR backend_type = 'autovacuum worker')
"""


def settle() -> None:
    """Wait for the transactions of the server itself, and of other tests in other databases of the server."""
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute(_NEXT_ID)
        (next_id,) = cursor.fetchone()

        def has_ended() -> bool:
            cursor.execute("SELECT pg_stat_clear_snapshot()")  # a transaction would see the same activity again
            cursor.execute(_ELSEWHERE, [next_id])
            return cursor.fetchone() is None

        wait_until(has_ended)


def head() -> Position:
    """Return the present position."""
    settle()
    return log.head()


def entries_after(position: Position, selection: Selection = EVERYTHING) -> list[Entry]:
    """Return all selected changes after a position."""
    settle()
    return log.read(position, selection, limit=10_000).entries


def logged_by(write: Callable[[], object]) -> set[tuple[str, str, int | None]]:
    """Return the resource, the kind and the primary key of the changes that a function makes."""
    before = head()
    write()
    return {(entry.resource, entry.kind, entry.row_id) for entry in entries_after(before)}
