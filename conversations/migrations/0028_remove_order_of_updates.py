"""Drops the indexes of the lists of conversations by the time of their change, which the change log replaces."""

from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('conversations', '0027_event_sizes'),
    ]

    operations = [
        migrations.RemoveIndex(model_name='conversation', name='conversation_updated'),
        migrations.RemoveIndex(model_name='conversation', name='conversation_all_updated'),
    ]
