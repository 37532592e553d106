"""Adds the index in which web processes count the waiting events of each instance.

PostgreSQL builds the index concurrently, so webhooks are stored meanwhile. The migration is not atomic, and may be run
again if it was interrupted.
"""

from django.db import migrations, models

NAME = "event_queue"
INDEX = models.Index(condition=models.Q(('outcome', 'stored')), fields=['outcome', 'is_history', 'instance'], name=NAME)


def create(apps, schema_editor):
    """Create the index."""
    event = apps.get_model("conversations", "WebhookEvent")
    is_concurrent = {"concurrently": True} if schema_editor.connection.vendor == "postgresql" else {}
    if is_concurrent:
        schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {NAME}")  # an interrupted build leaves an invalid index
    schema_editor.add_index(event, INDEX, **is_concurrent)


def drop(apps, schema_editor):
    """Drop the index."""
    schema_editor.execute(f"DROP INDEX IF EXISTS {NAME}")


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ('conversations', '0023_group_names'),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[migrations.AddIndex(model_name='webhookevent', index=INDEX)],
            database_operations=[migrations.RunPython(create, drop)],
        ),
    ]
