"""Lets PostgreSQL collect statistics of the words of messages and groups.

Their search indexes are partial, and the planner takes no statistics from a partial index. Without statistics it expects
that any word begins 2 % of the words of each bucket of time, and reads the whole table instead of the index.
"""

from django.db import migrations

# name → (table, expression of the index)
STATISTICS = {
    "message_search_words": (
        "conversations_message",
        "conversations_message_search(instance_id, timestamp, text)",
    ),
    "group_search_words": (
        "conversations_conversation",
        "conversations_group_search(instance_id, name, jid)",
    ),
}


def create(apps, schema_editor):
    """Create the statistics, and collect them for the existing rows."""
    if schema_editor.connection.vendor != "postgresql":
        return
    for name, (table, expression) in STATISTICS.items():
        schema_editor.execute(f"CREATE STATISTICS {name} ON ({expression}) FROM {table}")
        schema_editor.execute(f"ANALYZE {table}")


def drop(apps, schema_editor):
    """Drop the statistics."""
    if schema_editor.connection.vendor == "postgresql":
        for name in STATISTICS:
            schema_editor.execute(f"DROP STATISTICS {name}")


class Migration(migrations.Migration):
    dependencies = [("conversations", "0019_sender")]
    operations = [migrations.RunPython(create, drop)]
