"""Runs SQL around the query of a queryset, for what Django's queries cannot say."""

from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connections
from django.db.models import QuerySet


def run(sql: str, rows: QuerySet[Any, Any], *more: Any) -> list[tuple[Any, ...]]:
    """Run a query around the query of a queryset, whose place in `sql` is `{}`; `more` are parameters after it."""
    connection = connections[rows.db]
    try:
        inner, parameters = rows.query.get_compiler(connection=connection).as_sql()
    except EmptyResultSet:
        return []
    with connection.cursor() as cursor:
        cursor.execute(sql.format(inner), [*parameters, *more])
        rows_found: list[tuple[Any, ...]] = cursor.fetchall()
        return rows_found
