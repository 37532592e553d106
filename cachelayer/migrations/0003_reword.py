"""Rewords the plural label of the model `CounterTotal`, and renames its constraint to `counter_total`."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('cachelayer', '0002_rename_models'),
    ]

    operations = [
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
