"""Builds the search indexes: GIN indexes on PostgreSQL, FTS5 tables that triggers keep on SQLite.

The lexemes are described in `conversations/search/__init__.py`. PostgreSQL builds the indexes concurrently: reads and
writes go on meanwhile, and only short locks are taken. The migration is not atomic, and may be run again if it was
interrupted. On SQLite, altering one of the tables drops its triggers, so a later migration that alters the table must
call `create_triggers` again; otherwise tests/conversations/search/test_index.py fails.
"""

from django.db import migrations

INDEXED_CHARS = 20_000  # characters of a message that are indexed
DAYS = 32  # days in one bucket of time
SHORT = 500  # bytes; no word of such a text is too long for a lexeme
MARKS = "[\u0300-\u036f]"
SEPARATORS = "[^a-z0-9\u00c0-\u1fff\u3040-\ud7ff]+"

# The forms of a phone number, each of which a search may begin with: with and without the country code 55, the area
# code, and the ninth digit; and the last four digits. Of
# other numbers, without the first one to three digits, and the last seven and four.
NUMBER_FORMS = """
CASE
    WHEN {0} LIKE '55%' AND length({0}) = 13 THEN
        {0} || ' ' || substr({0}, 1, 4) || substr({0}, 6) || ' ' || substr({0}, 3) || ' ' ||
        substr({0}, 3, 2) || substr({0}, 6) || ' ' || substr({0}, 5) || ' ' || substr({0}, 6) || ' ' || substr({0}, 10)
    WHEN {0} LIKE '55%' AND length({0}) = 12 THEN
        {0} || ' ' || substr({0}, 1, 4) || '9' || substr({0}, 5) || ' ' || substr({0}, 3) || ' ' ||
        substr({0}, 3, 2) || '9' || substr({0}, 5) || ' 9' || substr({0}, 5) || ' ' || substr({0}, 5) || ' ' ||
        substr({0}, 9)
    WHEN length({0}) > 8 THEN
        {0} || ' ' || substr({0}, 2) || ' ' || substr({0}, 3) || ' ' || substr({0}, 4) || ' ' ||
        substr({0}, length({0}) - 6) || ' ' || substr({0}, length({0}) - 3)
    ELSE {0}
END
"""

# --- PostgreSQL -------------------------------------------------------------------------------------------------------
IMMUTABLE = "LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 500"
FUNCTIONS = (
    f"""
    CREATE OR REPLACE FUNCTION conversations_fold(text) RETURNS text {IMMUTABLE}
    RETURN btrim(regexp_replace(
        CASE WHEN octet_length($1) = char_length($1) THEN lower(left($1, {INDEXED_CHARS}))
        ELSE regexp_replace(lower(normalize(left($1, {INDEXED_CHARS}), NFKD)), '{MARKS}', '', 'g') END,
        '{SEPARATORS}', ' ', 'g'))
    """,
    f"""
    CREATE OR REPLACE FUNCTION conversations_bucket(timestamptz) RETURNS text {IMMUTABLE}
    RETURN 'm' || (date_part('day', $1 - timestamptz '1970-01-01 00:00:00+00')::int / {DAYS})::text
    """,
    f"""
    CREATE OR REPLACE FUNCTION conversations_message_words(bigint, timestamptz, text) RETURNS text {IMMUTABLE}
    RETURN 'i' || $1::text || replace(' ' || conversations_fold($3), ' ', ' ' || conversations_bucket($2) || 'x')
    """,
    # The parser of `to_tsvector` leaves out words that are too long, but costs four times as much.
    f"""
    CREATE OR REPLACE FUNCTION conversations_message_search(bigint, timestamptz, text) RETURNS tsvector {IMMUTABLE}
    RETURN CASE WHEN octet_length($3) <= {SHORT}
    THEN array_to_tsvector(string_to_array(conversations_message_words($1, $2, $3), ' '))
    ELSE to_tsvector('pg_catalog.simple'::regconfig, conversations_message_words($1, $2, $3)) END
    """,
    f"""
    CREATE OR REPLACE FUNCTION conversations_contact_search(bigint, text, text, text, text, text)
    RETURNS tsvector {IMMUTABLE}
    RETURN to_tsvector('pg_catalog.simple'::regconfig, 'i' || $1::text || ' ' ||
        conversations_fold($2 || ' ' || $3 || ' ' || $4) || ' ' || {NUMBER_FORMS.format("$5")} || ' ' || $6)
    """,
    f"""
    CREATE OR REPLACE FUNCTION conversations_group_search(bigint, text, text) RETURNS tsvector {IMMUTABLE}
    RETURN to_tsvector('pg_catalog.simple'::regconfig, 'i' || $1::text || ' ' ||
        conversations_fold($2 || ' ' || split_part($3, '@', 1)))
    """,
)
SIGNATURES = (
    "conversations_group_search(bigint, text, text)",
    "conversations_contact_search(bigint, text, text, text, text, text)",
    "conversations_message_search(bigint, timestamptz, text)",
    "conversations_message_words(bigint, timestamptz, text)",
    "conversations_bucket(timestamptz)",
    "conversations_fold(text)",
)
# name of the index → what it indexes
INDEXES = {
    "contact_search": "conversations_contact USING gin"
    " (conversations_contact_search(instance_id, name, saved_name, push_name, phone, lid))",
    "group_search": "conversations_conversation USING gin"
    " (conversations_group_search(instance_id, name, jid)) WITH (gin_pending_list_limit = 1024)"
    " WHERE contact_id IS NULL",
    "message_search": "conversations_message USING gin"
    " (conversations_message_search(instance_id, timestamp, text)) WITH (gin_pending_list_limit = 1024)"
    " WHERE text <> ''",
}


def _postgresql():
    yield from FUNCTIONS
    for name, index in INDEXES.items():
        yield f"DROP INDEX CONCURRENTLY IF EXISTS {name}"  # an interrupted build leaves an invalid index
        yield f"CREATE INDEX CONCURRENTLY {name} ON {index}"
    for table in ("contact", "conversation", "message"):
        yield f"ANALYZE conversations_{table}"


# --- SQLite -----------------------------------------------------------------------------------------------------------
BUCKET = f"'m' || (CAST(julianday(substr({{0}}.timestamp, 1, 10)) - 2440587.5 AS INTEGER) / {DAYS})"
# name of the FTS5 table → (table, columns that the documents depend on, condition, facets, content)
TABLES = {
    "contact_search": (
        "contact",
        "name, saved_name, push_name, phone, lid",
        "1",
        "'i' || {0}.instance_id",
        "{0}.name || ' ' || {0}.saved_name || ' ' || {0}.push_name || ' ' || {0}.lid || ' ' || "
        + NUMBER_FORMS.replace("{0}", "{0}.phone"),
    ),
    "group_search": (
        "conversation",
        "name, jid",
        "{0}.contact_id IS NULL",
        "'i' || {0}.instance_id",
        "{0}.name || ' ' || {0}.jid",
    ),
    "message_search": (
        "message",
        "text, timestamp",
        "{0}.text <> ''",
        f"'i' || {{0}}.instance_id || ' ' || {BUCKET}",
        f"substr({{0}}.text, 1, {INDEXED_CHARS})",
    ),
}
TOKENIZER = "unicode61 remove_diacritics 2"


def sqlite_tables(tables=TABLES):
    for name, (table, _, condition, facets, content) in tables.items():
        yield f"""
            CREATE VIRTUAL TABLE {name} USING fts5(
                facets, content, content='', columnsize=0, tokenize="{TOKENIZER}"
            )
        """
        row = f"conversations_{table}"
        yield f"""
            INSERT INTO {name} (rowid, facets, content)
            SELECT {row}.id, {facets.format(row)}, {content.format(row)} FROM {row} WHERE {condition.format(row)}
        """


def sqlite_triggers(tables=TABLES):
    for name, (table, columns, condition, facets, content) in tables.items():
        add, remove = (
            f"INSERT INTO {name} ({command}rowid, facets, content) SELECT {value}{row}.id, {facets.format(row)}, "
            f"{content.format(row)} WHERE {condition.format(row)};"
            for row, command, value in (("NEW", "", ""), ("OLD", f"{name}, ", "'delete', "))
        )
        for event, when, statements in (
            ("insert", "INSERT", add),
            ("delete", "DELETE", remove),
            ("update", f"UPDATE OF {columns}", remove + add),
        ):
            yield f"CREATE TRIGGER {name}_{event} AFTER {when} ON conversations_{table} BEGIN {statements} END"


def create_triggers(apps, schema_editor):
    """Create the triggers that keep the FTS5 tables."""
    if schema_editor.connection.vendor == "sqlite":
        for statement in sqlite_triggers():
            schema_editor.execute(statement, params=None)


def drop_triggers(apps, schema_editor):
    """Drop the triggers that keep the FTS5 tables, before one of their tables is altered."""
    if schema_editor.connection.vendor == "sqlite":
        for name in TABLES:
            for event in ("insert", "delete", "update"):
                schema_editor.execute(f"DROP TRIGGER {name}_{event}")


# --- both -------------------------------------------------------------------------------------------------------------
def create(apps, schema_editor):
    """Create the indexes and fill them with the existing rows."""
    statements = {"postgresql": _postgresql, "sqlite": sqlite_tables}[schema_editor.connection.vendor]
    for statement in statements():
        schema_editor.execute(statement, params=None)
    create_triggers(apps, schema_editor)


def drop(apps, schema_editor):
    """Drop the indexes, and their triggers or functions."""
    drop_triggers(apps, schema_editor)
    if schema_editor.connection.vendor == "sqlite":
        for name in TABLES:
            schema_editor.execute(f"DROP TABLE {name}")
        return
    for name in INDEXES:
        schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
    schema_editor.execute(f"DROP FUNCTION {', '.join(SIGNATURES)}")


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("conversations", "0014_lists")]
    operations = [migrations.RunPython(create, drop)]
