"""Many rows of one table by one statement.

PostgreSQL takes them as one JSON text and reads it as rows of the table (`json_populate_recordset`): the statement does
not grow with the rows, and to write the text costs a fraction of what a parameter for each value does. On other
databases, and where a field says its values in a way of its own, it is a parameter for each.
"""

import datetime as dt
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

# What rows have of these, and not of subclasses of theirs, is what the database is told: as it is, or times as text.
_TIMES = (models.DateField, models.DateTimeField)
_PLAIN = (
    *_TIMES,
    models.BigAutoField,
    models.BigIntegerField,
    models.BooleanField,
    models.CharField,
    models.ForeignKey,
    models.IntegerField,
    models.JSONField,
    models.OneToOneField,
    models.PositiveIntegerField,
    models.PositiveSmallIntegerField,
    models.SmallIntegerField,
    models.TextField,
)

_INSERT = """
INSERT INTO {table} ({columns}) SELECT {columns} FROM json_populate_recordset(NULL::{table}, %s) RETURNING {pk}
"""
_UPDATE = """
UPDATE {table} SET {assignments} FROM json_populate_recordset(NULL::{table}, %s) AS new WHERE {table}.{pk} = new.{pk}
"""
_UPDATE_ONE = "UPDATE {table} SET {assignments} WHERE {pk} = %s"


def bulk_insert(connection: BaseDatabaseWrapper, rows: Sequence[models.Model]) -> None:
    """Insert new rows, and give them the primary keys that the database has given them.

    Raises:
        TypeError: JSON has no form for a value.
    """
    if not rows:
        return
    meta = rows[0]._meta  # noqa: SLF001 - Django's documented way to a model's fields
    fields: list[Any] = [field for field in meta.concrete_fields if not field.primary_key and not field.generated]
    if not _is_read_as_json(connection, fields) or any(row.pk is not None for row in rows):
        models.QuerySet[Any](type(rows[0]), using=connection.alias).bulk_create(rows)
        return
    names = {"columns": ", ".join(_quoted(connection, fields)), **_named(connection, meta)}
    with connection.cursor() as cursor:
        cursor.execute(_INSERT.format(**names), [_text(fields, rows, add=True)])
        for row, (pk,) in zip(rows, cursor.fetchall(), strict=True):
            row.pk = pk
            row._state.adding, row._state.db = False, connection.alias  # noqa: SLF001 - as Django does


def bulk_update(connection: BaseDatabaseWrapper, rows: Sequence[models.Model], names: Iterable[str]) -> None:
    """Write some fields of rows that are there.

    Raises:
        TypeError: JSON has no form for a value.
    """
    if not rows:
        return
    meta = rows[0]._meta  # noqa: SLF001 - as above
    fields: list[Any] = [meta.get_field(name) for name in sorted(names)]
    if _is_read_as_json(connection, [meta.pk, *fields]):
        assignments = ", ".join(f"{column} = new.{column}" for column in _quoted(connection, fields))
        with connection.cursor() as cursor:
            text = _text([meta.pk, *fields], rows, add=False)
            cursor.execute(_UPDATE.format(assignments=assignments, **_named(connection, meta)), [text])
        return
    assignments = ", ".join(f"{column} = %s" for column in _quoted(connection, fields))
    values = [
        [field.get_db_prep_save(field.pre_save(row, add=False), connection) for field in (*fields, meta.pk)]
        for row in rows
    ]
    with connection.cursor() as cursor:
        cursor.executemany(_UPDATE_ONE.format(assignments=assignments, **_named(connection, meta)), values)


def _quoted(connection: BaseDatabaseWrapper, fields: Iterable[Any]) -> list[str]:
    return [connection.ops.quote_name(field.column) for field in fields]


def _named(connection: BaseDatabaseWrapper, meta: Any) -> dict[str, str]:
    return {"table": connection.ops.quote_name(meta.db_table), "pk": connection.ops.quote_name(meta.pk.column)}


def _is_read_as_json(connection: BaseDatabaseWrapper, fields: Iterable[Any]) -> bool:
    plain = (type(field) in _PLAIN and not getattr(field, "encoder", None) for field in fields)
    return connection.vendor == "postgresql" and all(plain)


def _text(fields: Sequence[Any], rows: Sequence[models.Model], *, add: bool) -> str:
    """Return rows as a JSON array of objects, by column."""
    times = [field for field in fields if type(field) in _TIMES]
    for field in times:
        for row in rows:
            field.pre_save(row, add)  # `auto_now` sets the row's value
    places = [(field.column, field.attname) for field in fields]
    records: list[dict[str, Any]] = [{column: getattr(row, name) for column, name in places} for row in rows]
    for field in times:
        for record in records:
            if isinstance(time := record[field.column], dt.date):  # and `datetime`
                record[field.column] = time.isoformat()
    return _encoded(records)


_encoded: Callable[[Any], str] = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
