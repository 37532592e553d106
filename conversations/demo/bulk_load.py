"""Inserts many new rows of a model without the ORM: by COPY on PostgreSQL, by `executemany` on SQLite.

The caller passes the columns whose values differ from row to row; every other column has its field's default. The
caller must also invalidate the cache, and ensure that foreign keys are valid, because the database may not check them.
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from django.db import ProgrammingError, connection, models, transaction
from django.utils import timezone

_COPY_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


def skip_foreign_key_checks() -> None:
    """Disable foreign key checks until the transaction ends, if the database user has the permission, to save time.

    Call this function inside a transaction that writes only valid foreign keys. The triggers that count conversations
    and log changes run all the same (migration 0029).
    """
    if connection.vendor == "postgresql":
        with suppress(ProgrammingError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL session_replication_role = 'replica'")


def reserve_ids(model: type[models.Model], count: int) -> int:
    """Reserve `count` consecutive primary keys of a model's table and return the first of them.

    Call this function outside of a transaction, because other connections get no new keys until the transaction ends.
    """
    meta = model._meta  # noqa: SLF001 - Django documents _meta
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT pg_get_serial_sequence(%s, %s)", [meta.db_table, meta.pk.column])
            (sequence,) = cursor.fetchone()
            # ALTER SEQUENCE leaves the increment at 1, but locks the sequence, so that no other connection takes a key
            # between nextval and setval.
            cursor.execute(f"ALTER SEQUENCE {sequence} INCREMENT BY 1")
            cursor.execute("SELECT setval(%s, nextval(%s) + %s)", [sequence, sequence, count - 1])
        else:
            cursor.execute("UPDATE sqlite_sequence SET seq = seq + %s WHERE name = %s", [count, meta.db_table])
            if not cursor.rowcount:  # the table has never had a row
                cursor.execute("INSERT INTO sqlite_sequence (seq, name) VALUES (%s, %s)", [count, meta.db_table])
            cursor.execute("SELECT seq FROM sqlite_sequence WHERE name = %s", [meta.db_table])
        last: int = cursor.fetchone()[0]
    return last - count + 1


def insert(
    model: type[models.Model], constants: dict[str, Any], columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """Insert many rows into the table of a model.

    Args:
        model: the model of the rows.
        constants: column → value that all rows have, for columns in which the value is not the field's default.
        columns: the columns whose values differ from row to row.
        rows: for each row, the values in the order of `columns`.
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
            cursor.executemany(f"INSERT INTO {table} ({names}) VALUES ({placeholders})", parameters)  # noqa: S608 - the model defines all names


def analyze(tables: Iterable[type[models.Model]]) -> None:
    """Update the query planner's statistics of tables that have grown."""
    with connection.cursor() as cursor:
        for model in tables:
            cursor.execute(f"ANALYZE {connection.ops.quote_name(model._meta.db_table)}")  # noqa: SLF001 - Django documents _meta


def _defaults(model: type[models.Model]) -> dict[str, Any]:
    """Return the default value of each column except the primary key, which the caller or the database assigns."""
    now = timezone.now()
    fields: Any = model._meta.concrete_fields  # noqa: SLF001 - Django documents _meta
    return {
        field.column: now if getattr(field, "auto_now", False) else _default(field)
        for field in fields
        if not field.primary_key
    }


def _default(field: Any) -> Any:
    """Return a field's default as the database stores it; the default of a JSON field is an empty object."""
    return "{}" if isinstance(field, models.JSONField) else field.get_prep_value(field.get_default())


def _copy_text(value: Any) -> str:
    """Return a value in the text format of COPY (https://www.postgresql.org/docs/current/sql-copy.html)."""
    if type(value) is str:
        return value.translate(_COPY_ESCAPES)
    if value is None:
        return r"\N"
    return value.isoformat() if isinstance(value, dt.datetime) else str(value)


def _adapt(value: Any) -> Any:
    return connection.ops.adapt_datetimefield_value(value) if isinstance(value, dt.datetime) else value
