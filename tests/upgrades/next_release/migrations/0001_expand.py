"""Does to every table of the site what a migration may do to a table that old code uses."""

from pathlib import Path

from django.apps import apps as installed
from django.db import migrations

APPS = ("conversations", "cachelayer", "auth", "admin", "sessions")
REFERRED = ("instance", "contact", "conversation", "message")


def expand(apps, schema_editor):
    """Add a nullable column, one with a default, an index and a trigger to each table, and a table that refers to some."""
    for statement in statements():
        schema_editor.execute(statement)


def statements():
    """Return the SQL for PostgreSQL."""
    yield """
        CREATE FUNCTION next_release_note() RETURNS trigger LANGUAGE plpgsql AS
        $$BEGIN NEW.next_note := 'seen'; RETURN NEW; END$$
    """
    for model in installed.get_models(include_auto_created=True):
        if model._meta.app_label in APPS:
            table = model._meta.db_table
            yield f"ALTER TABLE {table} ADD COLUMN next_note text"
            yield f"ALTER TABLE {table} ADD COLUMN next_count integer DEFAULT 7 NOT NULL"
            yield f"CREATE INDEX next_{table} ON {table} (next_count, next_note)"
            yield f"""
                CREATE TRIGGER next_note BEFORE INSERT OR UPDATE ON {table}
                FOR EACH ROW EXECUTE FUNCTION next_release_note()
            """
    columns = (f"{name} bigint REFERENCES conversations_{name} ON DELETE CASCADE" for name in REFERRED)
    yield f"CREATE TABLE next_rows (id bigserial PRIMARY KEY, {', '.join(columns)})"


def latest(app):
    """Return the name of the last migration of an app."""
    return max(path.stem for path in Path(installed.get_app_config(app).path, "migrations").glob("0*.py"))


class Migration(migrations.Migration):
    atomic = False  # with the locks of several tables, it could deadlock with the workers
    dependencies = [(app, latest(app)) for app in APPS]
    operations = [migrations.RunPython(expand)]
