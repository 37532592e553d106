"""Replaces the index of the senders of messages by one in the order of lists, so that a sender's messages are not sorted."""

from django.db import migrations, models

OLD_INDEX = "conversations_message_sender_id_f0496734"  # Django's name of the index of the foreign key


class Migration(migrations.Migration):

    dependencies = [
        ('conversations', '0018_tally'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='message',
            index=models.Index(condition=models.Q(('sender__isnull', False)), fields=['sender', 'timestamp', 'sent_order', 'key_id', 'id'], name='message_sender'),
        ),
        # Altering the field on SQLite would copy the table and drop the triggers of the search index.
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterField(
                    model_name='message',
                    name='sender',
                    field=models.ForeignKey(blank=True, db_index=False, help_text='null for outbound messages', null=True, on_delete=models.RESTRICT, related_name='messages', to='conversations.contact'),
                ),
            ],
            database_operations=[
                migrations.RunSQL(
                    f"DROP INDEX IF EXISTS {OLD_INDEX}",
                    f"CREATE INDEX {OLD_INDEX} ON conversations_message (sender_id)",
                ),
            ],
        ),
    ]
