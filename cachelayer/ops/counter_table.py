"""Adds counts to a table of counters in one SQL statement: increases existing counters and inserts missing ones."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connections
from django.db.models import Model

_ADD = """
INSERT INTO {table} ({columns}, value) VALUES {rows}
ON CONFLICT ({columns}) DO UPDATE SET value = {table}.value + excluded.value
"""


def add_counts(model: type[Model], columns: Sequence[str], counts: Mapping[tuple[Any, ...], int], using: str) -> None:
    """Add counts to counters, inside the current database transaction if there is one.

    Args:
        model: the model of the counters; has a `value` column, and a unique constraint on `columns`.
        columns: the columns that together name a counter.
        counts: the number to add to each counter, by the values of `columns`; zeros are skipped.
        using: the alias of the database.

    Raises:
        DatabaseError, InterfaceError: the database does not accept the statement.
    """
    # Counters are always updated in the same order. So two processes that add counts at the same time may wait for each
    # other, but cannot deadlock.
    rows = [(*key, counts[key]) for key in sorted(counts) if counts[key]]
    if not rows:
        return
    names = {"table": model._meta.db_table, "columns": ", ".join(columns)}  # noqa: SLF001 - Django documents _meta
    placeholders = ", ".join([f"({', '.join(['%s'] * (len(columns) + 1))})"] * len(rows))
    with connections[using].cursor() as cursor:
        cursor.execute(_ADD.format(rows=placeholders, **names), [value for row in rows for value in row])
