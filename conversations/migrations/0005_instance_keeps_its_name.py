"""A trigger that prevents an instance from changing its name, because webhook URLs and cache tags contain the name.

On SQLite, altering the table of instances drops the trigger, so a later migration that alters the table must call
`create` again; otherwise tests/conversations/models/test_constraints.py fails.
"""

from django.db import migrations

RENAMED = "an instance never changes its name"

POSTGRESQL = (
    f"""
    CREATE OR REPLACE FUNCTION conversations_keep_name() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION '{RENAMED}' USING ERRCODE = 'integrity_constraint_violation';
    END $$
    """,
    f"""
    CREATE TRIGGER instance_keeps_name BEFORE UPDATE OF name ON conversations_instance FOR EACH ROW
    WHEN (NEW.name <> OLD.name) EXECUTE FUNCTION conversations_keep_name()
    """,
)
SQLITE = (
    f"""
    CREATE TRIGGER instance_keeps_name BEFORE UPDATE OF name ON conversations_instance FOR EACH ROW
    WHEN NEW.name <> OLD.name BEGIN SELECT RAISE(ABORT, '{RENAMED}'); END
    """,
)
DROP = {
    "postgresql": (
        "DROP TRIGGER instance_keeps_name ON conversations_instance",
        "DROP FUNCTION conversations_keep_name",
    ),
    "sqlite": ("DROP TRIGGER instance_keeps_name",),
}


def create(apps, schema_editor):
    """Create the trigger, and on PostgreSQL its function."""
    for statement in {"postgresql": POSTGRESQL, "sqlite": SQLITE}[schema_editor.connection.vendor]:
        schema_editor.execute(statement, params=None)


def drop(apps, schema_editor):
    """Drop the trigger, and on PostgreSQL its function."""
    for statement in DROP[schema_editor.connection.vendor]:
        schema_editor.execute(statement)


class Migration(migrations.Migration):
    dependencies = [("conversations", "0004_inbox")]
    operations = [migrations.RunPython(create, drop)]
