"""Adds the time of the latest increment to each ingestion counter; counters from before have none."""

import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [('conversations', '0035_audit_indexes')]

    operations = [
        migrations.AddField('ingestcounter', 'counted_at', models.DateTimeField(null=True)),
        migrations.AlterField(
            'ingestcounter', 'counted_at', models.DateTimeField(default=django.utils.timezone.now, null=True)
        ),
    ]
