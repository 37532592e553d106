"""The insert: rows of the inbox, those of several requests by one statement (`together.py`)."""

import os
from collections.abc import Sequence
from functools import cache
from typing import Any

from django.db import InterfaceError, OperationalError, connection

from conversations.ingest import writing
from conversations.ingest.together import Together
from conversations.models import WebhookEvent

SMALL = 65_536  # characters; a larger body is inserted by itself, for others would wait for it
Row = tuple[Any, ...]  # by column; the first two name it, the last one is its size

_COLUMNS = (
    "instance_id", "digest", "request_id", "name", "payload", "received_at", "due_at", "is_history", "part", "parts",
    "size",
)  # fmt: skip
_INSERT = """
INSERT INTO {table} ({columns}, outcome, reason, attempts) VALUES {rows}
ON CONFLICT (instance_id, digest) DO UPDATE
    SET outcome = 'stored', attempts = 0, reason = '', settled_at = NULL, due_at = excluded.due_at,
        request_id = excluded.request_id
    WHERE {table}.outcome IN ('failed', 'unknown')
"""


def add(rows: Sequence[Row]) -> None:
    """Insert rows; one that is there already is due again if it had failed, or was not understood.

    Raises:
        DatabaseError, InterfaceError: the database does not take them.
    """
    if connection.in_atomic_block or sum(row[-1] for row in rows) > SMALL:
        _write(rows)
    else:
        _together.add(rows)


def _write(rows: Sequence[Row]) -> None:
    """Insert rows in one statement, each once: it would fail at the second of two that are the same.

    By the connection that is there, or by a new one if the server has closed it meanwhile. Django would ask first
    whether it is still there: a round trip as dear as the insert. To insert twice does no harm.
    """
    rows = list({row[:2]: row for row in rows}.values())
    statement, values = _insert(connection.vendor, len(rows)), [value for row in rows for value in row]
    connection.health_check_done = True  # type: ignore[attr-defined]  # the stubs do not know it
    with writing.in_turn():
        try:
            _execute(statement, values)
        except (OperationalError, InterfaceError):
            if connection.in_atomic_block or connection.is_usable():
                raise
            connection.close()
            _execute(statement, values)


def _execute(statement: str, values: Sequence[Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


@cache
def _insert(vendor: str, rows: int) -> str:
    table = WebhookEvent._meta.db_table  # noqa: SLF001 - Django's documented way to it
    json_of = {"payload": "%s::jsonb"} if vendor == "postgresql" else {}
    row = ", ".join(json_of.get(column, "%s") for column in _COLUMNS)
    given = ", ".join([f"({row}, 'stored', '', 0)"] * rows)
    return _INSERT.format(table=table, columns=", ".join(_COLUMNS), rows=given)


_together = Together(_write)
os.register_at_fork(after_in_child=_together.forget)
