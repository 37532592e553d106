"""Adds the indexes in which workers add up the sizes of events that nobody will apply without an operator.

PostgreSQL builds the indexes concurrently, so webhooks are stored meanwhile. The migration is not atomic, and may be run
again if it was interrupted.
"""

from django.db import migrations, models

INDEXES = [
    models.Index(
        condition=models.Q(('outcome', outcome)), fields=['outcome', 'instance', 'id', 'size'], name=f"event_{outcome}_size"
    )
    for outcome in ("unknown", "foreign", "failed")
]


def create(apps, schema_editor):
    """Create the indexes."""
    event = apps.get_model("conversations", "WebhookEvent")
    is_concurrent = {"concurrently": True} if schema_editor.connection.vendor == "postgresql" else {}
    for index in INDEXES:
        if is_concurrent:
            schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {index.name}")  # an interrupted build leaves one
        schema_editor.add_index(event, index, **is_concurrent)


def drop(apps, schema_editor):
    """Drop the indexes."""
    for index in INDEXES:
        schema_editor.execute(f"DROP INDEX IF EXISTS {index.name}")


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ('conversations', '0026_change_log'),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[migrations.AddIndex(model_name='webhookevent', index=index) for index in INDEXES],
            database_operations=[migrations.RunPython(create, drop)],
        ),
    ]
