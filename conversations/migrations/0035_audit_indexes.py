"""Adds the indexes in which the admin finds what one user has read or done, and what was read of one instance.

PostgreSQL builds the indexes concurrently, so the admin records readings meanwhile. The migration is not atomic, and may
be run again if it was interrupted.
"""

from django.db import migrations, models

READINGS = [
    models.Index(fields=['user', 'read_at', 'id'], name='reading_by_user'),
    models.Index(fields=['instance', 'read_at', 'id'], name='reading_by_instance'),
]
# Django's own table, of which this project has no migrations; so the state of its model stays as it is.
ENTRIES = [models.Index(fields=['user', 'id'], name='audit_by_user')]
INDEXES = (("conversations", "ReadingRecord", READINGS), ("admin", "LogEntry", ENTRIES))


def create(apps, schema_editor):
    """Create the indexes."""
    is_concurrent = {"concurrently": True} if schema_editor.connection.vendor == "postgresql" else {}
    for app, model, indexes in INDEXES:
        for index in indexes:
            if is_concurrent:
                schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {index.name}")  # of an interrupted build
            schema_editor.add_index(apps.get_model(app, model), index, **is_concurrent)


def drop(apps, schema_editor):
    """Drop the indexes."""
    for _app, _model, indexes in INDEXES:
        for index in indexes:
            schema_editor.execute(f"DROP INDEX IF EXISTS {index.name}")


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ('admin', '0003_logentry_add_action_flag_choices'),
        ('conversations', '0034_cache_readings'),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[migrations.AddIndex(model_name='readingrecord', index=index) for index in READINGS],
            database_operations=[migrations.RunPython(create, drop)],
        ),
    ]
