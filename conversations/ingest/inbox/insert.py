"""The insert: rows of the inbox, those of several requests by one statement (`together.py`)."""

import os
from collections.abc import Sequence
from functools import cache
from typing import Any

from django.db import InterfaceError, OperationalError, connection

from conversations.ingest import sqlite_lock
from conversations.ingest.inbox.group_commit import GroupCommit
from conversations.models import WebhookEvent

GROUP_COMMIT_LIMIT = 65_536  # characters; a larger body is inserted by itself, for others would wait for it
Row = tuple[Any, ...]  # by column; the first two name it, the last one is its size

_COLUMNS = (
    "instance_id", "digest", "request_id", "name", "payload", "received_at", "due_at", "is_history", "part", "parts",
    "size",
)  # fmt: skip
# What is there already is not locked by an insert that does nothing: with several rows, others could wait in a circle.
_INSERT = """
INSERT INTO {table} ({columns}, outcome, reason, attempts) VALUES {rows}
ON CONFLICT (instance_id, digest) DO {what}
"""
_REVIVE = """UPDATE
    SET outcome = 'stored', attempts = 0, reason = '', finished_at = NULL, due_at = excluded.due_at,
        request_id = excluded.request_id
    WHERE {table}.outcome IN ('failed', 'unknown')
"""
_REVIVED = (WebhookEvent.Outcome.FAILED, WebhookEvent.Outcome.UNKNOWN)


def insert_events(rows: Sequence[Row]) -> None:
    """Insert rows; one that is there already is due again if it had failed, or was not understood.

    Raises:
        DatabaseError, InterfaceError: the database does not take them.
    """
    if connection.in_atomic_block or sum(row[-1] for row in rows) > GROUP_COMMIT_LIMIT:
        _write(rows)
    else:
        _together.write(rows)


def _write(rows: Sequence[Row]) -> None:
    """Insert rows, each once and in one order everywhere, so that two processes never wait for each other.

    By the connection that is there, or by a new one if the server has closed it meanwhile. Django would ask first
    whether it is still there: a round trip as dear as the insert. To insert twice does no harm.
    """
    rows = sorted({row[:2]: row for row in rows}.values(), key=_sort_key)
    connection.health_check_done = True  # type: ignore[attr-defined]  # the stubs do not know it
    with sqlite_lock.serialized_writes():
        try:
            _insert(rows)
        except (OperationalError, InterfaceError):
            if connection.in_atomic_block or connection.is_usable():
                raise
            connection.close()
            _insert(rows)


def _sort_key(row: Row) -> tuple[Any, ...]:
    return row[_COLUMNS.index("part")], *row[:2]  # an import's parts keep their order


def _insert(rows: Sequence[Row]) -> None:
    """Insert those that are new; of the others those are made due again that came to a bad end.

    One row does both in one statement: who holds nothing yet, nobody waits for.
    """
    if len(rows) == 1:
        _execute(rows, _REVIVE)
        return
    if _execute(rows, "NOTHING") == len(rows):
        return
    instances, digests = {row[0] for row in rows}, {row[1] for row in rows}
    ended = WebhookEvent.objects.filter(instance__in=instances, digest__in=digests, outcome__in=_REVIVED)
    names = set(ended.values_list("instance", "digest"))
    if again := [row for row in rows if row[:2] in names]:
        _execute(again, _REVIVE)


def _execute(rows: Sequence[Row], what: str) -> int:
    """Insert rows; return how many were written."""
    with connection.cursor() as cursor:
        cursor.execute(_statement(connection.vendor, len(rows), what), [value for row in rows for value in row])
        return int(cursor.rowcount)


@cache
def _statement(vendor: str, rows: int, what: str) -> str:
    table = WebhookEvent._meta.db_table  # noqa: SLF001 - Django's documented way to it
    json_of = {"payload": "%s::jsonb"} if vendor == "postgresql" else {}
    row = ", ".join(json_of.get(column, "%s") for column in _COLUMNS)
    given = ", ".join([f"({row}, 'stored', '', 0)"] * rows)
    return _INSERT.format(table=table, columns=", ".join(_COLUMNS), rows=given, what=what.format(table=table))


_together = GroupCommit(_write)
os.register_at_fork(after_in_child=_together.reset_after_fork)
