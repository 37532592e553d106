"""Adds counts to a table of counters in one SQL statement: increases existing counters and inserts missing ones."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connections
from django.db.models import Model

_ADD = """
INSERT INTO {table} ({columns}, value{time}) VALUES {rows}
ON CONFLICT ({columns}) DO UPDATE SET value = {table}.value + excluded.value{new_time}
"""


def add_counts(
    model: type[Model],
    columns: Sequence[str],
    counts: Mapping[tuple[Any, ...], int],
    using: str,
    *,
    time_column: str = "",
) -> None:
    """Add counts to counters, inside the current database transaction if there is one.

    Args:
        model: the model of the counters; has a `value` column, and a unique constraint on `columns`.
        columns: the columns that together name a counter.
        counts: the number to add to each counter, by the values of `columns`; zeros are skipped.
        using: the alias of the database.
        time_column: the column that gets the present time, if the model has one.

    Raises:
        DatabaseError, InterfaceError: the database does not accept the statement.
    """
    # Counters are always updated in the same order. So two processes that add counts at the same time may wait for each
    # other, but cannot deadlock.
    rows = [(*key, counts[key]) for key in sorted(counts) if counts[key]]
    if not rows:
        return
    time = f", {time_column}" if time_column else ""
    new_time = f", {time_column} = excluded.{time_column}" if time_column else ""
    row = f"({', '.join(['%s'] * (len(columns) + 1))}{', CURRENT_TIMESTAMP' if time_column else ''})"
    statement = _ADD.format(
        table=model._meta.db_table,  # noqa: SLF001 - Django documents _meta
        columns=", ".join(columns),
        rows=", ".join([row] * len(rows)),
        time=time,
        new_time=new_time,
    )
    with connections[using].cursor() as cursor:
        cursor.execute(statement, [value for row in rows for value in row])
