"""An instance keeps its name: events are addressed by it, and what is cached of it is found under it.

As in migration 0002, triggers hold it on both databases, and a later migration that alters the table on SQLite has to
call `create` again; tests/conversations/models/test_constraints.py tells.
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
    """Drop what `create` made."""
    for statement in DROP[schema_editor.connection.vendor]:
        schema_editor.execute(statement)


class Migration(migrations.Migration):
    dependencies = [("conversations", "0004_inbox")]
    operations = [migrations.RunPython(create, drop)]
