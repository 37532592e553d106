"""Makes most changes of a message's status HOT updates on PostgreSQL, which write no index entries.

An update is HOT if it changes no column in a key or a condition of an index, and if the new version of the row fits on
the same page. The status is the most frequent change, and the indexes of failed messages had it in their condition. Now
the condition is the column `is_failed`, which the model does not have: a trigger sets it, and `has_status` in
`conversations.models.message_filters` reads it. `fillfactor` leaves room for new versions on pages that are filled from
now on. SQLite has no HOT updates, and keeps the indexes that the model declares.

Inserted messages of which half got two statuses, a batch of 10, 100 or 500 changes in a transaction: with a `fillfactor`
of 100, 64, 42 and 14 % of the updates were HOT, with 90 all, 80 and 52 %, with 80 all, 91 and 72 %.

A generated column would need no trigger, but adding one rewrites the table and its indexes, while nobody can read it.
The steps of this migration take such a lock for milliseconds only, as soon as running transactions have ended. The
indexes are built concurrently: reads and writes go on meanwhile. The migration took 0.9 s with 300,000 messages, most of
it for the indexes, each of which reads the table: about 30 s with 10,000,000 messages in memory. A generated column took
14 s with 240,000 messages. The migration is not atomic, and may be run again if it was interrupted.
"""

from django.db import migrations

FAILED = 2
ORDER = "timestamp, sent_order, key_id, id"
INDEXES = {"message_failed": f"instance_id, {ORDER}", "message_all_failed": ORDER}  # name → columns

CREATE = (
    "ALTER TABLE conversations_message ADD COLUMN IF NOT EXISTS is_failed boolean NOT NULL DEFAULT false",
    "ALTER TABLE conversations_message SET (fillfactor = 90)",
    f"""
    CREATE OR REPLACE FUNCTION conversations_message_is_failed() RETURNS trigger LANGUAGE plpgsql AS
    $$BEGIN NEW.is_failed := NEW.status = {FAILED}; RETURN NEW; END$$
    """,
    # The server evaluates WHEN itself, and calls the function for few rows.
    f"""
    CREATE OR REPLACE TRIGGER conversations_message_is_failed
    BEFORE INSERT OR UPDATE OF status ON conversations_message FOR EACH ROW
    WHEN (NEW.is_failed <> (NEW.status = {FAILED})) EXECUTE FUNCTION conversations_message_is_failed()
    """,
    f"UPDATE conversations_message SET is_failed = true WHERE status = {FAILED} AND NOT is_failed",
)
DROP = (
    "DROP FUNCTION conversations_message_is_failed CASCADE",
    "ALTER TABLE conversations_message RESET (fillfactor)",
    "ALTER TABLE conversations_message DROP COLUMN is_failed",
)


def _build_indexes(schema_editor, condition):
    for name, columns in INDEXES.items():
        schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        schema_editor.execute(f"CREATE INDEX CONCURRENTLY {name} ON conversations_message ({columns}) WHERE {condition}")


def create(apps, schema_editor):
    """Add the column, fill it for existing rows, and build the indexes with it."""
    if schema_editor.connection.vendor == "postgresql":
        for statement in CREATE:
            schema_editor.execute(statement)
        _build_indexes(schema_editor, "is_failed")


def drop(apps, schema_editor):
    """Build the indexes that the model declares, and drop the column."""
    if schema_editor.connection.vendor == "postgresql":
        _build_indexes(schema_editor, f"status = {FAILED}")
        for statement in DROP:
            schema_editor.execute(statement)


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("conversations", "0020_search_statistics")]
    operations = [migrations.RunPython(create, drop)]
