"""Triggers that prevent a row from changing its instance, or from referring to a row of another instance.

The constraints of Django models cannot compare a row with another row or with the row's old version. On SQLite, Django
rebuilds a table when a later migration alters the table, and rebuilding drops the table's triggers. A migration that
alters a table with triggers must therefore call `create` again; otherwise
tests/conversations/models/test_constraints.py fails.
"""

from django.db import migrations

KEEPS_INSTANCE = ("contact", "contactaddress", "conversation", "message")
# (table, column of the foreign key, table that the foreign key refers to)
SAME_INSTANCE = (
    ("contactaddress", "contact_id", "contact"),
    ("conversation", "contact_id", "contact"),
    ("message", "conversation_id", "conversation"),
    ("message", "sender_id", "contact"),
)
MOVED = "a row never changes its instance"
FOREIGN = "a row refers to rows of its own instance only"

FUNCTIONS = (
    f"""
    CREATE OR REPLACE FUNCTION conversations_keep_instance() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION '{MOVED}' USING ERRCODE = 'integrity_constraint_violation';
    END $$
    """,
    f"""
    CREATE OR REPLACE FUNCTION conversations_same_instance() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE same boolean;
    BEGIN
        EXECUTE format('SELECT instance_id = $2 FROM conversations_%s WHERE id = ($1).%I', TG_ARGV[1], TG_ARGV[0])
            INTO same USING NEW, NEW.instance_id;
        IF NOT same THEN
            RAISE EXCEPTION '{FOREIGN}' USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        RETURN NEW;
    END $$
    """,
)


def create(apps, schema_editor):
    """Create the triggers, and on PostgreSQL their functions."""
    vendor = schema_editor.connection.vendor
    statements = {"postgresql": _postgresql, "sqlite": _sqlite}[vendor]
    for statement in statements():
        schema_editor.execute(statement, params=None)


def drop(apps, schema_editor):
    """Drop the triggers, and on PostgreSQL their functions."""
    on = schema_editor.connection.vendor == "postgresql"
    for name, table in _names():
        schema_editor.execute(f"DROP TRIGGER {name}" + (f" ON {table}" if on else ""))
    if on:
        schema_editor.execute("DROP FUNCTION conversations_keep_instance, conversations_same_instance")


def _names():
    yield from ((f"{table}_keeps_instance", f"conversations_{table}") for table in KEEPS_INSTANCE)
    for table, column, _ in SAME_INSTANCE:
        for event in ("insert", "update"):
            yield f"{table}_{column}_{event}", f"conversations_{table}"


def _postgresql():
    yield from FUNCTIONS
    for table in KEEPS_INSTANCE:
        yield f"""
            CREATE TRIGGER {table}_keeps_instance BEFORE UPDATE OF instance_id ON conversations_{table} FOR EACH ROW
            WHEN (NEW.instance_id <> OLD.instance_id) EXECUTE FUNCTION conversations_keep_instance()
        """
    for table, column, target in SAME_INSTANCE:
        for event, when in (("insert", "INSERT"), ("update", f"UPDATE OF {column}")):
            yield f"""
                CREATE TRIGGER {table}_{column}_{event} BEFORE {when} ON conversations_{table} FOR EACH ROW
                WHEN (NEW.{column} IS NOT NULL)
                EXECUTE FUNCTION conversations_same_instance('{column}', '{target}')
            """


def _sqlite():
    for table in KEEPS_INSTANCE:
        yield f"""
            CREATE TRIGGER {table}_keeps_instance BEFORE UPDATE OF instance_id ON conversations_{table} FOR EACH ROW
            WHEN NEW.instance_id <> OLD.instance_id BEGIN SELECT RAISE(ABORT, '{MOVED}'); END
        """
    for table, column, target in SAME_INSTANCE:
        for event, when in (("insert", "INSERT"), ("update", f"UPDATE OF {column}")):
            yield f"""
                CREATE TRIGGER {table}_{column}_{event} BEFORE {when} ON conversations_{table} FOR EACH ROW
                WHEN NEW.{column} IS NOT NULL
                AND NEW.instance_id <> (SELECT instance_id FROM conversations_{target} WHERE id = NEW.{column})
                BEGIN SELECT RAISE(ABORT, '{FOREIGN}'); END
            """


class Migration(migrations.Migration):
    dependencies = [("conversations", "0001_initial")]
    operations = [migrations.RunPython(create, drop)]
