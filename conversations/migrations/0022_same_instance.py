"""Makes PostgreSQL plan the checks of `0002_one_instance` once a connection, not once a row.

The function of before built its statement from the arguments of the trigger. So the server parsed and planned a statement
for each conversation and each sender of a new message, which took several times as long as inserting the message: 2.9 of
the 3.8 s of an INSERT of 2,000 messages, 0.17 of 0.5 s since. Now each trigger has a function of its own, whose statement
is fixed. The migration takes locks for milliseconds only, at any number of rows.
"""

from importlib import import_module

from django.db import migrations

one_instance = import_module("conversations.migrations.0002_one_instance")


def _functions():
    """Yield the table, its foreign key, the table that the key refers to, and the name of the function for both."""
    for table, column, target in one_instance.SAME_INSTANCE:
        yield table, column, target, f"conversations_{table}_{column}_same_instance"


def _create_triggers(schema_editor, table, column, function):
    for event, when in (("insert", "INSERT"), ("update", f"UPDATE OF {column}")):
        schema_editor.execute(f"""
            CREATE OR REPLACE TRIGGER {table}_{column}_{event} BEFORE {when} ON conversations_{table} FOR EACH ROW
            WHEN (NEW.{column} IS NOT NULL) EXECUTE FUNCTION {function}
        """)


def create(apps, schema_editor):
    """Give each trigger a function of its own."""
    if schema_editor.connection.vendor != "postgresql":
        return
    for table, column, target, function in _functions():
        schema_editor.execute(f"""
            CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                PERFORM FROM conversations_{target} WHERE id = NEW.{column} AND instance_id <> NEW.instance_id;
                IF FOUND THEN
                    RAISE EXCEPTION '{one_instance.FOREIGN}' USING ERRCODE = 'integrity_constraint_violation';
                END IF;
                RETURN NEW;
            END $$
        """)
        _create_triggers(schema_editor, table, column, f"{function}()")
    schema_editor.execute("DROP FUNCTION conversations_same_instance")


def drop(apps, schema_editor):
    """Let all triggers call one function again."""
    if schema_editor.connection.vendor != "postgresql":
        return
    schema_editor.execute(one_instance.FUNCTIONS[1], params=None)
    for table, column, target, function in _functions():
        _create_triggers(schema_editor, table, column, f"conversations_same_instance('{column}', '{target}')")
        schema_editor.execute(f"DROP FUNCTION {function}")


class Migration(migrations.Migration):
    dependencies = [("conversations", "0021_ticks")]
    operations = [migrations.RunPython(create, drop)]
