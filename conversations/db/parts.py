"""Reads the first rows of a list that has parts, such as the messages of several instances, in the order of an index.

An index that begins with the instance has the rows of each instance in order, but not the rows of several instances. So
the database reads the first rows of each part, and sorts these few. For PostgreSQL, the statement has the same length
for any number of parts, so that Django builds it, and the server plans it, in the same time.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from django.core.exceptions import EmptyResultSet
from django.db import connections
from django.db.models import Model, Q, QuerySet
from django.db.models.expressions import RawSQL

Row = TypeVar("Row", bound=Model)

MAX_PARTS = 200  # with more parts, reading the list in the order of an index over all rows costs less


@dataclass(frozen=True)
class Parts(Generic[Row]):
    """The rows that have one of some values in a column; the rows with one value are a part.

    Attributes:
        rows: the rows with any value in the column, filtered by other conditions, but not ordered.
        column: the name of a foreign key.
        values: primary keys, without duplicates.
    """

    rows: QuerySet[Row]
    column: str
    values: Sequence[int]

    @property
    def model(self) -> type[Row]:
        """The model of the rows."""
        return self.rows.model

    def filter(self, condition: Q) -> "Parts[Row]":
        """Return the rows for which a condition is true."""
        return replace(self, rows=self.rows.filter(condition))

    def using(self, alias: str) -> "Parts[Row]":
        """Return the rows of another database."""
        return replace(self, rows=self.rows.using(alias))


def first_rows(rows: QuerySet[Row] | Parts[Row], order: Sequence[str], limit: int) -> list[Row]:
    """Return the first rows in an order.

    Args:
        rows: rows that are not ordered.
        order: names of columns, with `-` for descending order.
        limit: the maximum number of rows.
    """
    if isinstance(rows, QuerySet):
        return list(rows.order_by(*order)[:limit])
    if not 1 < len(rows.values) <= MAX_PARTS:
        return first_rows(rows.rows.filter(_has_value(rows.column, rows.values)), order, limit)
    read = _first_by_lateral_join if connections[rows.rows.db].vendor == "postgresql" else _first_by_union
    return read(rows, order, limit)


def _has_value(column: str, values: Sequence[int]) -> Q:
    return Q(**{column: values[0]}) if len(values) == 1 else Q(**{f"{column}__in": values})


def _first_by_union(parts: Parts[Row], order: Sequence[str], limit: int) -> list[Row]:
    """Do what `first_rows` does on SQLite, which merges the parts of a union in the order of an index."""
    first, *others = [parts.rows.filter(**{parts.column: value}) for value in parts.values]
    return list(first.union(*others, all=True).order_by(*order)[:limit])


def _first_by_lateral_join(parts: Parts[Row], order: Sequence[str], limit: int) -> list[Row]:
    """Do what `first_rows` does on PostgreSQL, which runs the query of one part for each value."""
    connection = connections[parts.rows.db]
    part = parts.rows.filter(**{parts.column: RawSQL("part.value", ())}).order_by(*order)[:limit]
    try:
        query, parameters = part.query.get_compiler(connection=connection).as_sql()
    except EmptyResultSet:
        return []
    columns = ", ".join(_order_by(parts.model, name) for name in order)
    sql = (
        f"SELECT rows.* FROM unnest(%s::bigint[]) AS part(value) CROSS JOIN LATERAL ({query}) AS rows"  # noqa: S608
        f" ORDER BY {columns} LIMIT {limit}"
    )
    return list(parts.rows.raw(sql, [list(parts.values), *parameters], using=parts.rows.db))


def _order_by(model: type[Model], name: str) -> str:
    column = model._meta.get_field(name.lstrip("-")).column  # type: ignore[union-attr] # noqa: SLF001 - Django documents _meta
    return f'rows."{column}" {"DESC" if name.startswith("-") else "ASC"}'
