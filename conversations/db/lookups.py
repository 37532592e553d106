"""The lookup `any_of`: like `in`, but PostgreSQL gets all values as one array parameter.

The SQL text then has the same length for any number of values. For the 500 rows of a batch, `in` costs Django, psycopg
and the server several times as much. The server uses the same indexes for both. Other databases get an `in`.
"""

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Field
from django.db.models.lookups import In
from django.db.models.sql.compiler import SQLCompiler


@Field.register_lookup
class AnyOf(In):
    """Finds the rows whose column has one of the given values, which must have the column's Python type."""

    lookup_name = "any_of"

    def get_prep_lookup(self) -> list[Any]:
        """Return the values unconverted."""
        return list(self.rhs)

    def as_postgresql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> tuple[str, list[Any]]:
        """Return the condition for PostgreSQL."""
        column, parameters = self.process_lhs(compiler, connection)
        return f"{column} = ANY(%s)", [*parameters, self.rhs]
