"""Reads the first rows of a list that has parts, such as the messages of several instances, in the order of an index.

An index that begins with the instance has the rows of each instance in order, but not the rows of several instances. So
the database reads the first rows of each part, and sorts these few. For PostgreSQL, the statement has the same length
for any number of parts, so that Django builds it, and the server plans it, in the same time.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from django.core.exceptions import EmptyResultSet
from django.db import connections
from django.db.models import Model, Q, QuerySet
from django.db.models.expressions import RawSQL

from conversations.db import page_bytes

Statement = tuple[str, list[Any]]  # a query, and its parameters

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


def first_rows(
    rows: QuerySet[Row] | Parts[Row], order: Sequence[str], limit: int, max_bytes: int
) -> tuple[list[Row], bool]:
    """Return the first rows in an order, and whether there are more rows.

    Args:
        rows: rows that are not ordered, with columns of their own table alone.
        order: names of columns, with `-` for descending order; the last column is unique.
        limit: the maximum number of rows.
        max_bytes: the last row is the first one that reaches this sum (see `page_bytes`).
    """
    queryset = rows if isinstance(rows, QuerySet) else rows.rows
    try:
        sql, parameters = _first(rows, order, limit + 1)
    except EmptyResultSet:
        return [], False
    sql = page_bytes.cut(sql, queryset, order, max_bytes)
    found = list(queryset.raw(sql, parameters, using=queryset.db))[:limit]
    have_next = [row.__dict__.pop(page_bytes.HAS_NEXT) for row in found]
    return found, bool(have_next) and have_next[-1] is not None


def _first(rows: QuerySet[Row] | Parts[Row], order: Sequence[str], limit: int) -> Statement:
    """Return a query for the first rows in an order.

    Raises:
        EmptyResultSet: no row can match.
    """
    if isinstance(rows, QuerySet):
        return _compiled(rows.order_by(*order)[:limit])
    if not 1 < len(rows.values) <= MAX_PARTS:
        return _first(rows.rows.filter(_has_value(rows.column, rows.values)), order, limit)
    read = _first_by_lateral_join if connections[rows.rows.db].vendor == "postgresql" else _first_by_union
    return read(rows, order, limit)


def _compiled(rows: QuerySet[Row]) -> Statement:
    sql, parameters = rows.query.get_compiler(connection=connections[rows.db]).as_sql()
    return sql, list(parameters)


def _has_value(column: str, values: Sequence[int]) -> Q:
    return Q(**{column: values[0]}) if len(values) == 1 else Q(**{f"{column}__any_of": values})


def _first_by_union(parts: Parts[Row], order: Sequence[str], limit: int) -> Statement:
    """Do what `_first` does on SQLite, which merges the parts of a union in the order of an index."""
    queries = [_compiled(parts.rows.filter(**{parts.column: value})) for value in parts.values]
    union = " UNION ALL ".join(sql for sql, _ in queries)
    sql = f"{union} ORDER BY {page_bytes.order_by(parts.model, order)} LIMIT {limit}"
    return sql, [parameter for _, parameters in queries for parameter in parameters]


def _first_by_lateral_join(parts: Parts[Row], order: Sequence[str], limit: int) -> Statement:
    """Do what `_first` does on PostgreSQL, which runs the query of one part for each value."""
    part = parts.rows.filter(**{parts.column: RawSQL("part.value", ())}).order_by(*order)[:limit]
    query, parameters = _compiled(part)
    sql = (
        f"SELECT page.* FROM unnest(%s::bigint[]) AS part(value) CROSS JOIN LATERAL ({query}) AS page"  # noqa: S608
        f" ORDER BY {page_bytes.order_by(parts.model, order)} LIMIT {limit}"
    )
    return sql, [list(parts.values), *parameters]
