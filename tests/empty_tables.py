"""Empties the tables after a test that commits, instead of Django's `flush`, which takes many times as long.

`flush` empties every table, and then sends `post_migrate`, whose receivers look for missing content types and
permissions and audit the cache. Here only tables that have rows are emptied. Content types and permissions stay.
"""

from typing import Any

from django.db import connections, transaction
from django.test import TransactionTestCase

from cachelayer import cache
from cachelayer.protocol.tags import GLOBAL_TAG

KEPT = {"django_content_type", "auth_permission"}


def install() -> None:
    """Let all tests with transactions of their own empty the tables this way."""
    TransactionTestCase._fixture_teardown = _empty_databases  # type: ignore[attr-defined]  # noqa: SLF001 - Django has no public name for it


def _empty_databases(case: TransactionTestCase) -> None:
    for alias in case.databases:
        empty_tables(alias)


def empty_tables(alias: str) -> None:
    """Delete all rows of a database, except those of KEPT, and invalidate all cache entries."""
    connection = connections[alias]
    with transaction.atomic(using=alias), connection.cursor() as cursor:
        cache.touch(GLOBAL_TAG, using=alias)  # before the rows are deleted: without a store, it fills the outbox
        names = set(connection.introspection.django_table_names(only_existing=True, include_views=False)) - KEPT
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL session_replication_role = replica")  # without triggers and foreign keys
        while filled := _filled(cursor, sorted(names)):  # on SQLite, triggers may fill a table again
            for name in filled:
                cursor.execute(f'DELETE FROM "{name}"')  # noqa: S608 - the names are those of Django's models


def _filled(cursor: Any, names: list[str]) -> list[str]:
    """Return which tables have rows."""
    query = " UNION ALL ".join(f"SELECT '{name}' WHERE EXISTS (SELECT 1 FROM \"{name}\")" for name in names)  # noqa: S608 - as above
    return [name for (name,) in cursor.execute(query).fetchall()]
