"""Writes many new rows of a model at once, past the ORM: by COPY on PostgreSQL, by one prepared INSERT elsewhere.

Rows are given by the columns that differ; every other column has its field's default. Nothing is announced: that is
the caller's, and so are the rows' relations, which are not looked at where the database lets us.
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from django.db import ProgrammingError, connection, models, transaction
from django.utils import timezone

AT_ONCE = 5000  # rows
_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


def skip_foreign_key_checks() -> None:
    """Have the rest of this transaction's rows taken as they are, where that is allowed: foreign keys take longest.

    To be called inside a transaction, by who writes rows that are right by their making.
    """
    if connection.vendor == "postgresql":
        with suppress(ProgrammingError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL session_replication_role = 'replica'")


def reserve(model: type[models.Model], count: int) -> int:
    """Return the first of so many primary keys that nobody else will be given.

    To be called outside a transaction: until its end nobody else is given any.
    """
    meta = model._meta  # noqa: SLF001 - Django's documented way to a model's table
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT pg_get_serial_sequence(%s, %s)", [meta.db_table, meta.pk.column])
            (sequence,) = cursor.fetchone()
            # It changes nothing. Without its lock others would be given keys between the two halves of what follows.
            cursor.execute(f"ALTER SEQUENCE {sequence} INCREMENT BY 1")
            cursor.execute("SELECT setval(%s, nextval(%s) + %s)", [sequence, sequence, count - 1])
        else:
            cursor.execute("UPDATE sqlite_sequence SET seq = seq + %s WHERE name = %s", [count, meta.db_table])
            if not cursor.rowcount:  # nothing was ever inserted
                cursor.execute("INSERT INTO sqlite_sequence (seq, name) VALUES (%s, %s)", [count, meta.db_table])
            cursor.execute("SELECT seq FROM sqlite_sequence WHERE name = %s", [meta.db_table])
        last: int = cursor.fetchone()[0]
    return last - count + 1


def write(
    model: type[models.Model], alike: dict[str, Any], columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """Write rows.

    Args:
        model: theirs.
        alike: values that all of them have, by column, where those are not the fields' defaults.
        columns: those whose values differ.
        rows: their values, in the order of `columns`.
    """
    fixed = {name: value for name, value in (_defaults(model) | alike).items() if name not in columns}
    names = ", ".join(connection.ops.quote_name(name) for name in (*columns, *fixed))
    table = connection.ops.quote_name(model._meta.db_table)  # noqa: SLF001 - as above
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
                end = "".join(f"\t{_word(value)}" for value in fixed.values()) + "\n"
                for row in rows:
                    copy.write("\t".join(map(_word, row)) + end)
        else:
            places = ", ".join(["%s"] * (len(columns) + len(fixed)))
            values = [_adapted(value) for value in fixed.values()]
            given = ([*map(_adapted, row), *values] for row in rows)
            cursor.executemany(f"INSERT INTO {table} ({names}) VALUES ({places})", list(given))  # noqa: S608 - a model's names


def analyze(written: Iterable[type[models.Model]]) -> None:
    """Let the database look at tables that have grown at once: it plans by how large they were."""
    with connection.cursor() as cursor:
        for model in written:
            cursor.execute(f"ANALYZE {connection.ops.quote_name(model._meta.db_table)}")  # noqa: SLF001 - as above


def _defaults(model: type[models.Model]) -> dict[str, Any]:
    """Return the columns' defaults; the primary key has none, and is the database's to give."""
    now = timezone.now()
    fields: Any = model._meta.concrete_fields  # noqa: SLF001 - as above
    return {
        field.column: now if getattr(field, "auto_now", False) else _stored(field, field.get_default())
        for field in fields
        if not field.primary_key
    }


def _stored(field: Any, value: Any) -> Any:
    """Return a value as a row of text has it: what is a structure is JSON."""
    return field.get_prep_value(value) if not isinstance(field, models.JSONField) else "{}"


def _word(value: Any) -> str:
    """Return a value as COPY reads it (https://www.postgresql.org/docs/current/sql-copy.html, text format)."""
    if type(value) is str:
        return value.translate(_ESCAPES)
    if value is None:
        return r"\N"
    return value.isoformat() if isinstance(value, dt.datetime) else str(value)


def _adapted(value: Any) -> Any:
    return connection.ops.adapt_datetimefield_value(value) if isinstance(value, dt.datetime) else value
