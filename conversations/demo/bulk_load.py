"""Inserts many new rows of a model without the ORM: by COPY on PostgreSQL, by one prepared INSERT elsewhere.

The caller gives the columns that differ from row to row; every other column has its field's default. The caller also
invalidates the cache and ensures that foreign keys are valid, because the database may not check them.
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from django.db import ProgrammingError, connection, models, transaction
from django.utils import timezone

_COPY_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


def skip_foreign_key_checks() -> None:
    """Disable foreign key checks for the rest of the transaction, if the user may do so: they take most of the time.

    Call it inside a transaction whose rows are known to be valid.
    """
    if connection.vendor == "postgresql":
        with suppress(ProgrammingError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL session_replication_role = 'replica'")


def reserve_ids(model: type[models.Model], count: int) -> int:
    """Reserve `count` consecutive primary keys and return the first.

    Call it outside of a transaction: other connections wait for new keys until the transaction ends.
    """
    meta = model._meta  # noqa: SLF001 - Django documents _meta
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT pg_get_serial_sequence(%s, %s)", [meta.db_table, meta.pk.column])
            (sequence,) = cursor.fetchone()
            # The increment stays 1. The statement's lock prevents other connections from taking keys between nextval
            # and setval below.
            cursor.execute(f"ALTER SEQUENCE {sequence} INCREMENT BY 1")
            cursor.execute("SELECT setval(%s, nextval(%s) + %s)", [sequence, sequence, count - 1])
        else:
            cursor.execute("UPDATE sqlite_sequence SET seq = seq + %s WHERE name = %s", [count, meta.db_table])
            if not cursor.rowcount:  # the table never had a row
                cursor.execute("INSERT INTO sqlite_sequence (seq, name) VALUES (%s, %s)", [count, meta.db_table])
            cursor.execute("SELECT seq FROM sqlite_sequence WHERE name = %s", [meta.db_table])
        last: int = cursor.fetchone()[0]
    return last - count + 1


def insert(
    model: type[models.Model], constants: dict[str, Any], columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """Insert rows.

    Args:
        model: the rows' model.
        constants: values that all rows share, by column, where they differ from the fields' defaults.
        columns: the columns whose values differ from row to row.
        rows: the values of `columns`, in the same order.
    """
    fixed = {name: value for name, value in (_defaults(model) | constants).items() if name not in columns}
    names = ", ".join(connection.ops.quote_name(name) for name in (*columns, *fixed))
    table = connection.ops.quote_name(model._meta.db_table)  # noqa: SLF001 - Django documents _meta
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
                end = "".join(f"\t{_copy_text(value)}" for value in fixed.values()) + "\n"
                for row in rows:
                    copy.write("\t".join(map(_copy_text, row)) + end)
        else:
            placeholders = ", ".join(["%s"] * (len(columns) + len(fixed)))
            values = [_adapt(value) for value in fixed.values()]
            parameters = [[*map(_adapt, row), *values] for row in rows]
            cursor.executemany(f"INSERT INTO {table} ({names}) VALUES ({placeholders})", parameters)  # noqa: S608 - names come from the model


def analyze(tables: Iterable[type[models.Model]]) -> None:
    """Update the planner's statistics of tables that have grown."""
    with connection.cursor() as cursor:
        for model in tables:
            cursor.execute(f"ANALYZE {connection.ops.quote_name(model._meta.db_table)}")  # noqa: SLF001 - Django documents _meta


def _defaults(model: type[models.Model]) -> dict[str, Any]:
    """Return the default of each column except for the primary key, which the caller or the database assigns."""
    now = timezone.now()
    fields: Any = model._meta.concrete_fields  # noqa: SLF001 - Django documents _meta
    return {
        field.column: now if getattr(field, "auto_now", False) else _default(field)
        for field in fields
        if not field.primary_key
    }


def _default(field: Any) -> Any:
    """Return a field's default as the database stores it; for JSON this is an empty object."""
    return "{}" if isinstance(field, models.JSONField) else field.get_prep_value(field.get_default())


def _copy_text(value: Any) -> str:
    """Return a value in COPY's text format (https://www.postgresql.org/docs/current/sql-copy.html)."""
    if type(value) is str:
        return value.translate(_COPY_ESCAPES)
    if value is None:
        return r"\N"
    return value.isoformat() if isinstance(value, dt.datetime) else str(value)


def _adapt(value: Any) -> Any:
    return connection.ops.adapt_datetimefield_value(value) if isinstance(value, dt.datetime) else value
