"""The lookups `any_of` and `has_true`.

`any_of` is like `in`, but PostgreSQL gets all values as one array parameter. The SQL text then has the same length for
any number of values. For the 500 rows of a batch, `in` costs Django, psycopg and the server several times as much. The
server uses the same indexes for both. Other databases get an `in`.

`has_true` finds JSON objects in which one key has the value true. Unlike Django's lookups, it takes a key of digits for
the name of a key, not for the index of a list.
"""

import json
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Field, ForeignObject, IntegerField, JSONField
from django.db.models.lookups import In, Lookup
from django.db.models.sql.compiler import SQLCompiler


@ForeignObject.register_lookup  # a foreign key does not inherit the lookups of other fields
@Field.register_lookup
class AnyOf(In):
    """Finds the rows whose column has one of the given values, which must have the column's Python type."""

    lookup_name = "any_of"

    def get_prep_lookup(self) -> list[Any]:
        """Return the values unconverted."""
        return list(self.rhs)

    def as_postgresql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> tuple[str, list[Any]]:
        """Return the condition for PostgreSQL.

        Raises:
            EmptyResultSet: there are no values; Django then runs no query, as for `in`.
        """
        if not self.rhs:
            raise EmptyResultSet
        column, parameters = self.process_lhs(compiler, connection)
        return f"{column} = ANY(%s{self._cast(connection)})", [*parameters, self.rhs]

    def _cast(self, connection: BaseDatabaseWrapper) -> str:
        """Return the cast of an array of integers to the type of the column; "" for values of other types.

        psycopg gives the array the smallest type that fits. The server compares a row with the array by hash only if
        both types are equal; else it compares the row with each value, which took 450 ms in place of 7.
        """
        field: Any = self.lhs.output_field
        field = getattr(field, "target_field", field)
        return f"::{field.rel_db_type(connection)}[]" if isinstance(field, IntegerField) else ""


@JSONField.register_lookup
class HasTrue(Lookup):
    """Finds the rows whose JSON object has the value true under the given key."""

    lookup_name = "has_true"
    prepare_rhs = False

    def as_postgresql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> tuple[str, list[Any]]:
        """Return the condition for PostgreSQL, which a GIN index serves."""
        column, parameters = self.process_lhs(compiler, connection)
        return f"{column} @> %s::jsonb", [*parameters, json.dumps({self.rhs: True})]

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> Any:
        """Return the condition for SQLite."""
        column, parameters = self.process_lhs(compiler, connection)
        key_is_true = f"EXISTS (SELECT 1 FROM json_each({column}) WHERE key = %s AND type = 'true')"  # noqa: S608
        return key_is_true, [*parameters, self.rhs]
