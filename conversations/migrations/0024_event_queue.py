"""Adds the index in which web processes count the waiting events of each instance."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('conversations', '0023_group_names'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='webhookevent',
            index=models.Index(condition=models.Q(('outcome', 'stored')), fields=['outcome', 'is_history', 'instance'], name='event_queue'),
        ),
    ]
