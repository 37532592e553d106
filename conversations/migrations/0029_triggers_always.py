"""Lets the triggers of the tally and of the change log also run for sessions that skip triggers, on PostgreSQL.

The demo loads rows with `session_replication_role = 'replica'`, which skips the checks of foreign keys. It also skipped
these triggers, so that counters were wrong and changes were not logged.
"""

from django.db import migrations

SET = """
    DO $$DECLARE found record; BEGIN
        FOR found IN SELECT tgname, tgrelid::regclass AS name FROM pg_trigger
        WHERE tgname LIKE 'conversations\\_change\\_%' OR tgname LIKE 'conversations\\_tally\\_%'
        LOOP EXECUTE format('ALTER TABLE %s ENABLE {} TRIGGER %I', found.name, found.tgname); END LOOP;
    END$$
"""


def enable_always(apps, schema_editor):
    """Run the triggers in all sessions."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(SET.format("ALWAYS"), params=None)


def enable(apps, schema_editor):
    """Run the triggers in sessions that run triggers."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(SET.format(""), params=None)


class Migration(migrations.Migration):

    dependencies = [
        ('conversations', '0028_remove_order_of_updates'),
    ]

    operations = [
        migrations.RunPython(enable_always, enable),
    ]
