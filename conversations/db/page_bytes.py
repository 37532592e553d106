"""Ends a page early if its rows are large, because senders decide how much a row holds.

The database adds up the sizes of the columns, and returns rows until their sum is reached. So a page is one query
whatever is in its rows, and rows that are left out are not sent.
"""

from collections.abc import Sequence
from typing import Any

from django.db import connections
from django.db.models import Field, JSONField, Model, QuerySet, TextField

MAX_PAGE_BYTES = 2**20  # of the long columns of all rows on a page; the row that reaches it is the last

HAS_NEXT = "has_next"  # the attribute of a row that tells whether a row follows it


def cut(sql: str, rows: QuerySet[Any], order: Sequence[str], max_bytes: int) -> str:
    """Return a query for the first rows of a query, up to the row that reaches a number of bytes.

    The rows get the attribute `HAS_NEXT`, which is None for the last row of the query `sql`.

    Args:
        sql: the query.
        rows: a queryset with the same columns, none of them from another table.
        order: the names of the columns that order the rows, with `-` for descending order.
        max_bytes: the sum of the sizes of long columns after which no row follows.
    """
    vendor, by = connections[rows.db].vendor, order_by(rows.model, order)
    size = " + ".join(_size(field, vendor) for field in _fields(rows) if _is_long(field)) or "0"
    fits = f"bytes_before IS NULL OR bytes_before < {max_bytes}"
    sums = f"SUM({size}) OVER place AS bytes_before, LEAD(1) OVER place AS {HAS_NEXT}"
    place = f"ORDER BY {by} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING"
    columns = ", ".join(f'"{field.column}"' for field in _fields(rows))
    if vendor == "postgresql":  # it passes references to large values on
        sized = f"SELECT page.*, {sums} FROM ({sql}) AS page WINDOW place AS ({place})"  # noqa: S608 - names of columns
        return f"SELECT {columns}, {HAS_NEXT} FROM ({sized}) AS page WHERE {fits} ORDER BY {by}"  # noqa: S608 - names of columns
    # SQLite would copy whole rows, so they are looked up once more.
    sized = f"SELECT id AS page_id, {sums} FROM ({sql}) AS page WINDOW place AS ({place})"  # noqa: S608 - names of columns
    return (
        f"SELECT {columns}, {HAS_NEXT} FROM ({sized}) AS page"  # noqa: S608 - names of columns
        f' CROSS JOIN "{rows.model._meta.db_table}" WHERE id = page_id AND ({fits}) ORDER BY {by}'  # noqa: SLF001 - Django documents _meta
    )


def order_by(model: type[Model], order: Sequence[str]) -> str:
    """Return the SQL that orders rows of one table by columns; a name with `-` is descending order."""
    return ", ".join(
        f'"{model._meta.get_field(name.lstrip("-")).column}" {"DESC" if name.startswith("-") else "ASC"}'  # type: ignore[union-attr] # noqa: SLF001 - Django documents _meta
        for name in order
    )


def _fields(rows: QuerySet[Any]) -> list["Field[Any, Any]"]:
    """Return the fields that the queryset reads."""
    names, are_deferred = rows.query.deferred_loading
    fields: Any = rows.model._meta.concrete_fields  # noqa: SLF001 - Django documents _meta
    return [field for field in fields if field.primary_key or (field.name in names) != are_deferred]


def _is_long(field: "Field[Any, Any]") -> bool:
    """Return whether the values of a field have no maximum length."""
    return isinstance(field, TextField | JSONField)


def _size(field: "Field[Any, Any]", vendor: str) -> str:
    """Return the SQL for the bytes of a value.

    PostgreSQL keeps large values compressed. It knows the length of a text, but of JSON only what is stored.
    """
    column = f'"{field.column}"'
    if vendor != "postgresql":
        return f"length(CAST({column} AS BLOB))"
    return f"4 * pg_column_size({column})" if isinstance(field, JSONField) else f"octet_length({column})"
