"""Runs queries for each of many rows of values, in one statement of the same length for any number of rows.

A query with `any_of` compares a column with the values of all rows, so it cannot limit the rows that it finds for each
value, and cannot compare two columns with values that belong together.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import connections
from django.db.models import Field, QuerySet
from django.db.models.expressions import RawSQL


def given(name: str) -> RawSQL:
    """Return what a query uses in place of a value, by the value's name."""
    return RawSQL(f"given.{name}", ())  # noqa: S611 - the names are constants


def select_for_each(
    fields: "Mapping[str, Field[Any, Any]]", rows: Iterable[Sequence[Any]], *queries: QuerySet[Any, Any]
) -> list[tuple[Any, ...]]:
    """Return the first value of each row, and the result of each query, which is None if the query finds nothing.

    Args:
        fields: the fields of the values, by name.
        rows: the values.
        queries: querysets with at most one row and with one column, which use the values as `given`.
    """
    connection = connections[queries[0].db]
    convert = [(name, field.get_db_prep_value) for name, field in fields.items()]
    table = [
        {name: prepare(value, connection) for (name, prepare), value in zip(convert, row, strict=True)} for row in rows
    ]
    compiled = [query.query.get_compiler(connection=connection).as_sql() for query in queries]
    columns = ", ".join([f"given.{next(iter(fields))}", *(f"({sql})" for sql, _ in compiled)])
    if connection.vendor == "postgresql":
        types = ", ".join(f"{name} {field.db_type(connection)}" for name, field in fields.items())
        source = f"json_to_recordset(%s) AS given({types})"
    else:
        values = ", ".join(f"json_extract(value, '$.{name}') AS {name}" for name in fields)
        source = f"(SELECT {values} FROM json_each(%s)) AS given"  # noqa: S608 - the names are constants
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {columns} FROM {source}",  # noqa: S608 - Django has compiled the queries
            [*(value for _, values in compiled for value in values), json.dumps(table, default=str)],
        )
        found: list[tuple[Any, ...]] = cursor.fetchall()
    return found
