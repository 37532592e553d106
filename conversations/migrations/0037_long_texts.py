"""Lets PostgreSQL find long texts of messages without folding them, in an index of their own.

A search that reads messages in the order of the list folded each of them. One of the longest took 10 to 20 ms, so
a sender of some hundred delayed each search by seconds.

PostgreSQL builds the index concurrently: reads and writes go on meanwhile. The migration is not atomic, and may be run
again if it was interrupted. SQLite never folds texts in a search.
"""

from django.db import migrations

LONG = 1_000  # bytes of a text that is not yet long
INDEX = f"""
    CREATE INDEX CONCURRENTLY message_search_long ON conversations_message
    USING gin (conversations_message_search(instance_id, timestamp, text)) WITH (gin_pending_list_limit = 1024)
    WHERE octet_length(text) > {LONG}
"""


def create(apps, schema_editor):
    """Create the index."""
    if schema_editor.connection.vendor == "postgresql":
        drop(apps, schema_editor)  # an interrupted build leaves an invalid index
        schema_editor.execute(INDEX, params=None)


def drop(apps, schema_editor):
    """Drop the index."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP INDEX CONCURRENTLY IF EXISTS message_search_long")


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("conversations", "0036_counter_times")]
    operations = [migrations.RunPython(create, drop)]
