"""Renames the model `Statistic` to `CounterTotal`, and renames the model's permissions accordingly."""

from functools import partial

from django.db import migrations


def rename_permissions(apps, schema_editor, *, old, new):
    """Rename the permissions of a model; a new database has no permissions yet."""
    rows = apps.get_model("auth", "Permission").objects.using(schema_editor.connection.alias)
    for action in ("add", "change", "delete", "view"):
        rows.filter(content_type__app_label="cachelayer", codename=f"{action}_{old}").update(codename=f"{action}_{new}")


class Migration(migrations.Migration):
    dependencies = [("cachelayer", "0001_initial"), ("auth", "0012_alter_user_first_name_max_length")]
    operations = [
        migrations.RenameModel("Statistic", "CounterTotal"),
        migrations.RunPython(
            partial(rename_permissions, old="statistic", new="countertotal"),
            partial(rename_permissions, old="countertotal", new="statistic"),
        ),
    ]
