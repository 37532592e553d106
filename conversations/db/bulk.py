"""Inserts or updates many rows of one table with one statement.

All rows are sent as one JSON parameter, which the database turns into rows. The SQL text then has the same length for
any number of rows, and encoding one JSON parameter costs much less than adapting one parameter per value. Rows with
fields that convert their values, and those of an SQLite before 3.35, are written by Django or one by one.
"""

import datetime as dt
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.expressions import DatabaseDefault

Row = TypeVar("Row", bound=models.Model)

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

# Expressions for the rows in a JSON parameter.
_ROWS = {
    "postgresql": "json_populate_recordset(NULL::{table}, %s)",
    "sqlite": "(SELECT {members} FROM json_each(%s))",
}
_INSERT = "INSERT INTO {table} ({columns}) SELECT {columns} FROM {rows} AS new RETURNING {pk}"
_UPDATE = "UPDATE {table} SET {assignments} FROM {rows} AS new WHERE {table}.{pk} = new.{pk}"
_UPDATE_ONE = "UPDATE {table} SET {assignments} WHERE {pk} = %s"


def new_row(model: type[Row], values: Mapping[str, Any]) -> Row:
    """Return an unsaved row with values by column attribute, such as `sender_id`, and defaults for the others.

    Django takes half as long for arguments by position as for those by name.
    """
    return model(*[values[name] if name in values else default() for name, default in _defaults(model)])


@cache
def _defaults(model: type[models.Model]) -> tuple[tuple[str, Callable[[], Any]], ...]:
    """Return the attribute of each column and a function that returns its default."""
    return tuple((field.attname, field.get_default) for field in model._meta.concrete_fields)  # noqa: SLF001 - Django documents _meta


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
    columns = ", ".join(_quote_columns(connection, fields))
    sql = _INSERT.format(columns=columns, rows=_rows(connection, meta, fields), **_quote_names(connection, meta))
    with connection.cursor() as cursor:
        cursor.execute(sql, [_to_json(connection, fields, rows, add=True)])
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
    names = _quote_names(connection, meta)
    if _supports_json(connection, [meta.pk, *fields]):
        assignments = ", ".join(f"{column} = new.{column}" for column in _quote_columns(connection, fields))
        sql = _UPDATE.format(assignments=assignments, rows=_rows(connection, meta, [meta.pk, *fields]), **names)
        with connection.cursor() as cursor:
            cursor.execute(sql, [_to_json(connection, [meta.pk, *fields], rows, add=False)])
        return
    assignments = ", ".join(f"{column} = %s" for column in _quote_columns(connection, fields))
    values = [
        [field.get_db_prep_save(field.pre_save(row, add=False), connection) for field in (*fields, meta.pk)]
        for row in rows
    ]
    with connection.cursor() as cursor:
        cursor.executemany(_UPDATE_ONE.format(assignments=assignments, **names), values)


def _quote_columns(connection: BaseDatabaseWrapper, fields: Iterable[Any]) -> list[str]:
    return [connection.ops.quote_name(field.column) for field in fields]


def _quote_names(connection: BaseDatabaseWrapper, meta: Any) -> dict[str, str]:
    return {"table": connection.ops.quote_name(meta.db_table), "pk": connection.ops.quote_name(meta.pk.column)}


def _rows(connection: BaseDatabaseWrapper, meta: Any, fields: Iterable[Any]) -> str:
    """Return the SQL expression for the rows in a JSON parameter, which has these fields."""
    names = _quote_columns(connection, fields)
    members = ", ".join(f"json_extract(value, '$.{name}') AS {name}" for name in names)
    return _ROWS[connection.vendor].format(members=members, **_quote_names(connection, meta))


def _supports_json(connection: BaseDatabaseWrapper, fields: Iterable[Any]) -> bool:
    supported = (type(field) in _JSON_FIELDS and not getattr(field, "encoder", None) for field in fields)
    return connection.features.can_return_rows_from_bulk_insert and all(supported)


def _has_database_default(fields: Iterable[Any], rows: Sequence[models.Model]) -> bool:
    """Return whether the database must choose a value, because a field has a `db_default` and no `default`."""
    names = [field.attname for field in fields if field.has_db_default()]
    return any(isinstance(vars(row)[name], DatabaseDefault) for row in rows for name in names)


def _to_json(connection: BaseDatabaseWrapper, fields: Sequence[Any], rows: Sequence[models.Model], *, add: bool) -> str:
    """Encode rows as a JSON array of one object per row; each object maps column names to values."""
    time_fields = [field for field in fields if type(field) in _TIME_FIELDS]
    for field in time_fields:
        if field.auto_now or (add and field.auto_now_add):
            for row in rows:
                field.pre_save(row, add)  # sets the value
    columns = [(field.column, field.attname) for field in fields]
    # `vars`, because Django reads a foreign key through a slow descriptor.
    records: list[dict[str, Any]] = [{column: values[name] for column, name in columns} for values in map(vars, rows)]
    is_sqlite = connection.vendor == "sqlite"
    for field in time_fields:
        for record in records:
            if isinstance(time := record[field.column], dt.date):  # includes `datetime`
                record[field.column] = _sqlite_time(time) if is_sqlite else time.isoformat()
    # Django writes the JSON of such a field into SQLite as text.
    json_columns: list[Any] = [field.column for field in fields if is_sqlite and type(field) is models.JSONField]
    for column in json_columns:
        for record in records:
            record[column] = None if (value := record[column]) is None else json.dumps(value)
    return _encode(records)


def _sqlite_time(time: dt.date) -> str:
    """Return a time as Django writes it into SQLite: in UTC, without a zone."""
    return str(time.astimezone(dt.UTC).replace(tzinfo=None) if isinstance(time, dt.datetime) else time)


_encode: Callable[[Any], str] = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
