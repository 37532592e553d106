"""Inserts or updates many rows of one table with one statement.

On PostgreSQL all rows are sent as one JSON parameter, which `json_populate_recordset` turns into rows of the table. The
SQL text then has the same length for any number of rows, and encoding one JSON parameter costs much less than adapting
one parameter per value. On other databases, and for fields that convert their values, each value is sent as one
parameter.
"""

import datetime as dt
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.expressions import DatabaseDefault

# Field classes whose values JSON can represent unchanged or, for dates and times, in ISO format. A subclass of one of
# these classes is not supported, because the subclass may convert values.
_TIME_FIELDS = (models.DateField, models.DateTimeField)
_JSON_FIELDS = (
    *_TIME_FIELDS,
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
    """Insert new rows, and set the primary keys of the objects to those that the database generated.

    Raises:
        TypeError: JSON cannot represent the value of a field.
    """
    if not rows:
        return
    meta = rows[0]._meta  # noqa: SLF001 - Django documents _meta
    fields: list[Any] = [field for field in meta.concrete_fields if not field.primary_key and not field.generated]
    is_plain = _supports_json(connection, fields) and not _has_database_default(fields, rows)
    if not is_plain or any(row.pk is not None for row in rows):
        models.QuerySet[Any](type(rows[0]), using=connection.alias).bulk_create(rows)
        return
    names = {"columns": ", ".join(_quote_columns(connection, fields)), **_quote_names(connection, meta)}
    with connection.cursor() as cursor:
        cursor.execute(_INSERT.format(**names), [_to_json(fields, rows, add=True)])
        for row, (pk,) in zip(rows, cursor.fetchall(), strict=True):
            row.pk = pk
            row._state.adding, row._state.db = False, connection.alias  # noqa: SLF001 - bulk_create sets _state too


def bulk_update(connection: BaseDatabaseWrapper, rows: Sequence[models.Model], field_names: Iterable[str]) -> None:
    """Write the fields `field_names` of existing rows to the database.

    Raises:
        TypeError: JSON cannot represent the value of a field.
    """
    if not rows:
        return
    meta = rows[0]._meta  # noqa: SLF001 - Django documents _meta
    fields: list[Any] = [meta.get_field(name) for name in sorted(field_names)]
    if _supports_json(connection, [meta.pk, *fields]):
        assignments = ", ".join(f"{column} = new.{column}" for column in _quote_columns(connection, fields))
        with connection.cursor() as cursor:
            text = _to_json([meta.pk, *fields], rows, add=False)
            cursor.execute(_UPDATE.format(assignments=assignments, **_quote_names(connection, meta)), [text])
        return
    assignments = ", ".join(f"{column} = %s" for column in _quote_columns(connection, fields))
    values = [
        [field.get_db_prep_save(field.pre_save(row, add=False), connection) for field in (*fields, meta.pk)]
        for row in rows
    ]
    with connection.cursor() as cursor:
        cursor.executemany(_UPDATE_ONE.format(assignments=assignments, **_quote_names(connection, meta)), values)


def _quote_columns(connection: BaseDatabaseWrapper, fields: Iterable[Any]) -> list[str]:
    return [connection.ops.quote_name(field.column) for field in fields]


def _quote_names(connection: BaseDatabaseWrapper, meta: Any) -> dict[str, str]:
    return {"table": connection.ops.quote_name(meta.db_table), "pk": connection.ops.quote_name(meta.pk.column)}


def _supports_json(connection: BaseDatabaseWrapper, fields: Iterable[Any]) -> bool:
    supported = (type(field) in _JSON_FIELDS and not getattr(field, "encoder", None) for field in fields)
    return connection.vendor == "postgresql" and all(supported)


def _has_database_default(fields: Iterable[Any], rows: Sequence[models.Model]) -> bool:
    """Return whether the database must choose a value, because a field has a `db_default` and no `default`."""
    names = [field.attname for field in fields if field.has_db_default()]
    return any(isinstance(vars(row)[name], DatabaseDefault) for row in rows for name in names)


def _to_json(fields: Sequence[Any], rows: Sequence[models.Model], *, add: bool) -> str:
    """Encode rows as a JSON array of one object per row; each object maps column names to values."""
    time_fields = [field for field in fields if type(field) in _TIME_FIELDS]
    for field in time_fields:
        if field.auto_now or (add and field.auto_now_add):
            for row in rows:
                field.pre_save(row, add)  # sets the value
    columns = [(field.column, field.attname) for field in fields]
    # `vars`, because Django reads a foreign key through a slow descriptor.
    records: list[dict[str, Any]] = [{column: values[name] for column, name in columns} for values in map(vars, rows)]
    for field in time_fields:
        for record in records:
            if isinstance(time := record[field.column], dt.date):  # includes `datetime`
                record[field.column] = time.isoformat()
    return _encode(records)


_encode: Callable[[Any], str] = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
