"""Renames models, fields and indexes of ingestion to the names in the code, and the models' permissions accordingly."""

from django.db import migrations

MODELS = {"Turn": "IngestLease", "IngestCount": "IngestCounter", "ParkedUpdate": "PendingUpdate"}
FIELDS = (
    ("instance", "speaks_for_server", "is_global_webhook"),
    ("webhookevent", "settled_at", "finished_at"),
    ("pendingupdate", "at", "rank_or_ms"),
)
INDEXES = (("parked_chat", "pending_chat"), ("parked_subject", "pending_subject"))


def rename_permissions(apps, schema_editor):
    """Rename the permissions of the renamed models; a new database does not contain these permissions yet."""
    _rename(apps, schema_editor, MODELS)


def restore_permissions(apps, schema_editor):
    """Undo `rename_permissions`."""
    _rename(apps, schema_editor, {new: old for old, new in MODELS.items()})


def _rename(apps, schema_editor, names):
    rows = apps.get_model("auth", "Permission").objects.using(schema_editor.connection.alias)
    for old, new in names.items():
        for action in ("add", "change", "delete", "view"):
            found = rows.filter(content_type__app_label="conversations", codename=f"{action}_{old.lower()}")
            found.update(codename=f"{action}_{new.lower()}")


class Migration(migrations.Migration):
    dependencies = [
        ("conversations", "0005_instance_keeps_its_name"),
        ("auth", "0012_alter_user_first_name_max_length"),
    ]
    operations = [
        *(migrations.RenameModel(old, new) for old, new in MODELS.items()),
        *(migrations.RenameField(*names) for names in FIELDS),
        *(migrations.RenameIndex("pendingupdate", new_name=new, old_name=old) for old, new in INDEXES),
        migrations.RunPython(rename_permissions, restore_permissions),
    ]
