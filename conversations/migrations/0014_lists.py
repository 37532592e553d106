"""Adds an index for each filter of a list that selects few rows; such an index contains these rows alone."""

from django.db import migrations, models

LABELS = """
    CREATE INDEX conversation_labels ON conversations_conversation USING gin (labels jsonb_path_ops)
    WHERE labels <> '{}'::jsonb
"""


def create_label_index(apps, schema_editor):
    """Create the index of the labels of conversations, which SQLite cannot have."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(LABELS)


def drop_label_index(apps, schema_editor):
    """Drop the index of the labels of conversations."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP INDEX conversation_labels")


class Migration(migrations.Migration):

    dependencies = [
        ('conversations', '0013_idempotency'),
    ]

    operations = [
        migrations.RunPython(create_label_index, drop_label_index),
        migrations.RemoveIndex(
            model_name='conversation',
            name='conversation_pinned',
        ),
        migrations.RemoveIndex(
            model_name='conversation',
            name='conversation_archived',
        ),
        migrations.AddIndex(
            model_name='conversation',
            index=models.Index(condition=models.Q(('is_pinned', True)), fields=['instance', 'last_message_at', 'id'], name='conversation_pinned'),
        ),
        migrations.AddIndex(
            model_name='conversation',
            index=models.Index(condition=models.Q(('is_archived', True)), fields=['instance', 'last_message_at', 'id'], name='conversation_archived'),
        ),
        migrations.AddIndex(
            model_name='conversation',
            index=models.Index(condition=models.Q(('muted_until__isnull', False)), fields=['instance', 'last_message_at', 'id'], name='conversation_muted'),
        ),
        migrations.AddIndex(
            model_name='conversation',
            index=models.Index(condition=models.Q(('is_deleted', True)), fields=['instance', 'last_message_at', 'id'], name='conversation_deleted'),
        ),
        migrations.AddIndex(
            model_name='conversation',
            index=models.Index(condition=models.Q(('kind', 'direct'), _negated=True), fields=['instance', 'last_message_at', 'id'], name='conversation_other_kind'),
        ),
        migrations.AddIndex(
            model_name='conversation',
            index=models.Index(condition=models.Q(('is_pinned', True)), fields=['last_message_at', 'id'], name='conversation_all_pinned'),
        ),
        migrations.AddIndex(
            model_name='conversation',
            index=models.Index(condition=models.Q(('is_archived', True)), fields=['last_message_at', 'id'], name='conversation_all_archived'),
        ),
        migrations.AddIndex(
            model_name='conversation',
            index=models.Index(condition=models.Q(('muted_until__isnull', False)), fields=['last_message_at', 'id'], name='conversation_all_muted'),
        ),
        migrations.AddIndex(
            model_name='conversation',
            index=models.Index(condition=models.Q(('is_deleted', True)), fields=['last_message_at', 'id'], name='conversation_all_deleted'),
        ),
        migrations.AddIndex(
            model_name='conversation',
            index=models.Index(condition=models.Q(('kind', 'direct'), _negated=True), fields=['last_message_at', 'id'], name='conversation_all_other_kind'),
        ),
        migrations.AddIndex(
            model_name='message',
            index=models.Index(condition=models.Q(('kind', 'text'), _negated=True), fields=['instance', 'kind', 'timestamp', 'sent_order', 'key_id', 'id'], name='message_kind'),
        ),
        migrations.AddIndex(
            model_name='message',
            index=models.Index(condition=models.Q(('kind', 'text'), _negated=True), fields=['kind', 'timestamp', 'sent_order', 'key_id', 'id'], name='message_all_kind'),
        ),
        migrations.AddIndex(
            model_name='message',
            index=models.Index(condition=models.Q(('status', 2)), fields=['instance', 'timestamp', 'sent_order', 'key_id', 'id'], name='message_failed'),
        ),
        migrations.AddIndex(
            model_name='message',
            index=models.Index(condition=models.Q(('status', 2)), fields=['timestamp', 'sent_order', 'key_id', 'id'], name='message_all_failed'),
        ),
    ]
