"""Inserts rows into the inbox table; the rows of concurrent requests share one statement (see `group_commit`)."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from operator import itemgetter
from typing import Any

import psycopg
from django.db import DEFAULT_DB_ALIAS, InterfaceError, OperationalError, connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from psycopg.adapt import Dumper

from conversations.ingest import sqlite_lock
from conversations.ingest.conf import LARGE
from conversations.ingest.inbox.group_commit import GroupCommit
from conversations.models import WebhookEvent
from logs.fork import after_fork

GROUP_COMMIT_LIMIT = 65_536  # bytes; a larger webhook body is inserted alone and delays no other request
# Column values in the order of _COLUMNS: two for the unique key first, the size last. A payload is JSON: text, or a
# bytearray of UTF-8.
Row = tuple[Any, ...]

_COLUMNS = (
    "instance_id", "digest", "request_id", "name", "payload", "received_at", "due_at", "is_history", "part", "parts",
    "size",
)  # fmt: skip
_PAYLOAD_OF = itemgetter(_COLUMNS.index("payload"))
_PAYLOAD = {"postgresql": "%s::jsonb", "sqlite": "CAST(%s AS TEXT)"}  # placeholders of text, and of bytes
_INSERT = """
INSERT INTO {table} ({columns}, outcome, reason, attempts) VALUES {rows}
ON CONFLICT (instance_id, digest) DO {action}
"""
# ON CONFLICT DO NOTHING locks no existing row. ON CONFLICT DO UPDATE locks existing rows, so a statement with several
# rows could deadlock with a worker.
_DO_NOTHING = "NOTHING"
_REQUEUE = """UPDATE
    SET outcome = 'stored', attempts = 0, reason = '', finished_at = NULL, due_at = excluded.due_at,
        request_id = excluded.request_id
    WHERE {table}.outcome IN ('failed', 'unknown')
"""
_REQUEUED = (WebhookEvent.Outcome.FAILED, WebhookEvent.Outcome.UNKNOWN)


def insert_events(rows: Sequence[Row]) -> None:
    """Insert inbox rows. An event that is stored already becomes due again if its outcome is failed or unknown.

    Raises:
        DatabaseError, InterfaceError: the database rejects the statement.
    """
    if connection.in_atomic_block or sum(row[-1] for row in rows) > GROUP_COMMIT_LIMIT:
        write_rows(rows)
    else:
        _group_commit.write(rows)


def write_rows(rows: Sequence[Row]) -> None:
    """Insert rows without group commit, sorted and without duplicates, so that two processes cannot deadlock.

    If the database server has closed the connection, reconnect and insert again; inserting a row twice is harmless.
    Django's connection health check is skipped, because its round trip costs as much as the insert.
    """
    rows = sorted({row[:2]: row for row in rows}.values(), key=_sort_key)
    database = connections[DEFAULT_DB_ALIAS]  # each use of `connection` would look it up again
    database.health_check_done = True  # type: ignore[attr-defined]  # missing in django-stubs
    is_large = _is_large(*map(_PAYLOAD_OF, rows))
    with sqlite_lock.serialized_writes():
        try:
            _insert(database, rows, is_large=is_large)
        except (OperationalError, InterfaceError):
            if database.in_atomic_block or database.is_usable():
                raise
            database.close()
            _insert(database, rows, is_large=is_large)
    if is_large and not database.in_atomic_block:
        database.close()  # it keeps the memory for the values of its last statements


def replace_payload(pk: int, payload: str | bytearray) -> None:
    """Replace the payload of a stored event that is not applied yet, and forget its failed attempts.

    Raises:
        DatabaseError, InterfaceError: the database rejects the statement.
    """
    database = connections[DEFAULT_DB_ALIAS]
    table = WebhookEvent._meta.db_table  # noqa: SLF001 - Django documents _meta
    values = f"payload = {_PAYLOAD[database.vendor]}, size = %s, attempts = 0"
    sql = f"UPDATE {table} SET {values} WHERE id = %s AND outcome = 'stored'"  # noqa: S608 - names
    is_large = _is_large(payload)
    with sqlite_lock.serialized_writes(), _cursor(database, is_large=is_large) as cursor:
        parameters: list[Any] = [payload, len(payload), pk]
        cursor.execute(sql, parameters)
    if is_large and not database.in_atomic_block:
        database.close()  # it keeps the memory for the values of its last statements


def _is_large(*payloads: str | bytearray) -> bool:
    return any(isinstance(payload, bytearray) for payload in payloads) or sum(map(len, payloads)) > LARGE


def _sort_key(row: Row) -> tuple[Any, ...]:
    return row[_COLUMNS.index("part")], *row[:2]  # so that the parts of an import get ascending primary keys


def _insert(database: BaseDatabaseWrapper, rows: Sequence[Row], *, is_large: bool) -> None:
    """Insert new rows, and make existing rows due again if their outcome is failed or unknown.

    A single row is upserted directly, because a statement that locks only one row cannot deadlock.
    """
    if len(rows) == 1:
        _execute(database, rows, _REQUEUE, is_large=is_large)
        return
    if _execute(database, rows, _DO_NOTHING, is_large=is_large) == len(rows):
        return
    instances, digests = {row[0] for row in rows}, {row[1] for row in rows}
    finished = WebhookEvent.objects.filter(instance__in=instances, digest__in=digests, outcome__in=_REQUEUED)
    keys = set(finished.values_list("instance", "digest"))
    if existing := [row for row in rows if row[:2] in keys]:
        _execute(database, existing, _REQUEUE, is_large=is_large)


def _execute(database: BaseDatabaseWrapper, rows: Sequence[Row], action: str, *, is_large: bool) -> int:
    """Insert rows with an ON CONFLICT action; return the number of rows that were written."""
    with _cursor(database, is_large=is_large) as cursor:
        cursor.execute(_statement(database.vendor, len(rows), action), [value for row in rows for value in row])
        return int(cursor.rowcount)


def _cursor(database: BaseDatabaseWrapper, *, is_large: bool) -> AbstractContextManager[CursorWrapper]:
    """Return a cursor, and for large payloads one that takes less memory."""
    if not is_large:
        return database.cursor()
    return _separate_cursor(database) if database.vendor == "postgresql" else _unchecked_cursor(database)


def _separate_cursor(database: BaseDatabaseWrapper) -> CursorWrapper:
    """Return a cursor that sends the values apart from the statement.

    Django's cursor writes the values into the statement, so a payload is in memory once more for each step of that.
    """
    database.ensure_connection()
    cursor = psycopg.Cursor(database.connection)
    cursor.adapters.register_dumper(bytearray, _EncodedJson)
    return CursorWrapper(cursor, database)


@contextmanager
def _unchecked_cursor(database: BaseDatabaseWrapper) -> Iterator[CursorWrapper]:
    """Let SQLite not check whether a large payload is JSON, which takes up to four times the payload's memory.

    A JSON encoder has written the payload, so the check would find nothing.
    """
    with database.cursor() as cursor:
        cursor.execute("PRAGMA ignore_check_constraints = ON")
        try:
            yield cursor
        finally:
            cursor.execute("PRAGMA ignore_check_constraints = OFF")


class _EncodedJson(Dumper):
    """Sends a payload in UTF-8 without copying it; psycopg would send a bytearray as the type `bytea`."""

    def dump(self, obj: bytearray) -> bytearray:
        return obj


@cache
def _statement(vendor: str, count: int, action: str) -> str:
    table = WebhookEvent._meta.db_table  # noqa: SLF001 - Django documents _meta
    row = ", ".join(_PAYLOAD[vendor] if column == "payload" else "%s" for column in _COLUMNS)
    rows = ", ".join([f"({row}, 'stored', '', 0)"] * count)
    return _INSERT.format(table=table, columns=", ".join(_COLUMNS), rows=rows, action=action.format(table=table))


_group_commit = GroupCommit(write_rows)
after_fork(_group_commit.reset_after_fork)
