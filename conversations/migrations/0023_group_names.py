"""Lets a search find a group by its name in WhatsApp, too, while another name is shown.

The index of groups is built again with one more column; see migration 0015. On PostgreSQL it is built concurrently, next
to the old one. The migration is not atomic, and may be run again if it was interrupted.

On SQLite, a later migration that alters the table of conversations must call `create` again.
"""

from importlib import import_module

from django.db import migrations

search = import_module("conversations.migrations.0015_search")

# --- PostgreSQL -------------------------------------------------------------------------------------------------------
FUNCTION = f"""
    CREATE OR REPLACE FUNCTION conversations_group_search(bigint, text, text, text) RETURNS tsvector {search.IMMUTABLE}
    RETURN to_tsvector('pg_catalog.simple'::regconfig, 'i' || $1::text || ' ' ||
        conversations_fold($2 || ' ' || $3 || ' ' || split_part($4, '@', 1)))
"""
DROP_FUNCTION = "DROP FUNCTION IF EXISTS conversations_group_search(bigint, text, text, text)"
LEXEMES = "conversations_group_search(instance_id, name, COALESCE(original_name, ''), jid)"
OLD_LEXEMES = "conversations_group_search(instance_id, name, jid)"


def _postgresql(lexemes):
    yield "DROP INDEX CONCURRENTLY IF EXISTS group_search_new"  # an interrupted build leaves an invalid index
    yield (
        f"CREATE INDEX CONCURRENTLY group_search_new ON conversations_conversation USING gin ({lexemes})"
        " WITH (gin_pending_list_limit = 1024) WHERE contact_id IS NULL"
    )
    yield "DROP INDEX CONCURRENTLY IF EXISTS group_search"
    yield "ALTER INDEX group_search_new RENAME TO group_search"
    yield "DROP STATISTICS IF EXISTS group_search_words"
    yield f"CREATE STATISTICS group_search_words ON ({lexemes}) FROM conversations_conversation"
    yield "ANALYZE conversations_conversation"


# --- SQLite -----------------------------------------------------------------------------------------------------------
NAME = "group_search"
OLD_TABLE = {NAME: search.TABLES[NAME]}
TABLE = {
    NAME: (
        "conversation",
        "name, original_name, jid",
        "{0}.contact_id IS NULL",
        "'i' || {0}.instance_id",
        "{0}.name || ' ' || coalesce({0}.original_name, '') || ' ' || {0}.jid",
    )
}


def _sqlite(table):
    for event in ("insert", "delete", "update"):
        yield f"DROP TRIGGER IF EXISTS {NAME}_{event}"
    yield f"DROP TABLE IF EXISTS {NAME}"
    yield from search.sqlite_tables(table)
    yield from search.sqlite_triggers(table)


# --- both -------------------------------------------------------------------------------------------------------------
def _run(schema_editor, statements):
    for statement in statements:
        schema_editor.execute(statement, params=None)


def create(apps, schema_editor):
    """Build the index with both names. The function of the old index stays, because the version before calls it."""
    is_sqlite = schema_editor.connection.vendor == "sqlite"
    _run(schema_editor, _sqlite(TABLE) if is_sqlite else [FUNCTION, *_postgresql(LEXEMES)])


def drop(apps, schema_editor):
    """Build the index with the shown name alone."""
    is_sqlite = schema_editor.connection.vendor == "sqlite"
    _run(schema_editor, _sqlite(OLD_TABLE) if is_sqlite else [*_postgresql(OLD_LEXEMES), DROP_FUNCTION])


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("conversations", "0022_same_instance")]
    operations = [migrations.RunPython(create, drop)]
