"""Rewords the plural label of the model `CounterTotal`, and renames its constraint to `counter_total`."""

from django.db import migrations, models

COUNTERS = {
    "strange stores": "store replacements",
    "absences": "negatives",
    "failed rounds": "background errors",
    "refused entries": "rejected fills",
}


def rename_counters(apps, schema_editor):
    """Give the sums of counters the names under which they are counted now."""
    _rename(apps, schema_editor, COUNTERS)


def restore_counters(apps, schema_editor):
    """Undo `rename_counters`."""
    _rename(apps, schema_editor, {new: old for old, new in COUNTERS.items()})


def _rename(apps, schema_editor, names):
    rows = apps.get_model("cachelayer", "CounterTotal").objects.using(schema_editor.connection.alias)
    for old, new in names.items():
        rows.filter(name=old).update(name=new)


class Migration(migrations.Migration):

    dependencies = [
        ('cachelayer', '0002_rename_models'),
    ]

    operations = [
        migrations.RunPython(rename_counters, restore_counters),
        migrations.AlterModelOptions(
            name='countertotal',
            options={'verbose_name_plural': 'statistics'},
        ),
        migrations.RemoveConstraint(
            model_name='countertotal',
            name='statistic',
        ),
        migrations.AddConstraint(
            model_name='countertotal',
            constraint=models.UniqueConstraint(fields=('namespace', 'tier', 'name'), name='counter_total'),
        ),
    ]
