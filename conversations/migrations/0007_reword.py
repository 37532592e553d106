"""Rewords labels and help texts of fields, and renames a constraint to the name in the code."""

import datetime
import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('conversations', '0006_rename_models'),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='ingestcounter',
            options={'verbose_name': 'ingestion', 'verbose_name_plural': 'ingestion'},
        ),
        migrations.RemoveConstraint(
            model_name='pendingupdate',
            name='parked_update',
        ),
        migrations.AlterField(
            model_name='conversation',
            name='is_deleted',
            field=models.BooleanField(default=False, help_text='deleted on the phone, without messages since'),
        ),
        migrations.AlterField(
            model_name='conversation',
            name='labels',
            field=models.JSONField(blank=True, default=dict, help_text='label id → whether the chat has the label'),
        ),
        migrations.AlterField(
            model_name='conversation',
            name='marked_read_until',
            field=models.DateTimeField(default=datetime.datetime(1970, 1, 1, 0, 0, tzinfo=datetime.timezone.utc), help_text='up to where mark-read was called here'),
        ),
        migrations.AlterField(
            model_name='conversation',
            name='read_until',
            field=models.DateTimeField(default=datetime.datetime(1970, 1, 1, 0, 0, tzinfo=datetime.timezone.utc), help_text='inbound messages up to this time are read'),
        ),
        migrations.AlterField(
            model_name='instance',
            name='is_global_webhook',
            field=models.BooleanField(default=False, help_text='the webhook token is valid for every instance of the server (global webhook)'),
        ),
        migrations.AlterField(
            model_name='message',
            name='details',
            field=models.JSONField(blank=True, default=dict, help_text='the content that is neither text nor media'),
        ),
        migrations.AlterField(
            model_name='message',
            name='from_device',
            field=models.BooleanField(default=False, help_text='outbound, and written on a phone or another client, where the chat was read'),
        ),
        migrations.AlterField(
            model_name='message',
            name='is_history',
            field=models.BooleanField(default=False, help_text='a history import contained it'),
        ),
        migrations.AlterField(
            model_name='message',
            name='original_text',
            field=models.TextField(blank=True, default='', help_text='text before the first edit; empty if never edited'),
        ),
        migrations.AlterField(
            model_name='message',
            name='poll_results',
            field=models.JSONField(blank=True, default=dict, help_text='address key or `me` → {options, who, at (ms)}'),
        ),
        migrations.AlterField(
            model_name='message',
            name='precedence',
            field=models.CharField(default='', editable=False, help_text='which of several copies the row contains', max_length=64),
        ),
        migrations.AlterField(
            model_name='message',
            name='reactions',
            field=models.JSONField(blank=True, default=dict, help_text='address key or `me` → {emoji, who, at (ms)}; an empty emoji means removed'),
        ),
        migrations.AlterField(
            model_name='message',
            name='sender',
            field=models.ForeignKey(blank=True, help_text='null for outbound messages', null=True, on_delete=django.db.models.deletion.RESTRICT, related_name='messages', to='conversations.contact'),
        ),
        migrations.AlterField(
            model_name='message',
            name='sender_name',
            field=models.CharField(blank=True, default='', help_text="the sender's name at that time", max_length=255),
        ),
        migrations.AlterField(
            model_name='message',
            name='text',
            field=models.TextField(blank=True, default='', help_text='text or caption after the latest edit'),
        ),
        migrations.AlterField(
            model_name='message',
            name='timestamp',
            field=models.DateTimeField(help_text="WhatsApp's time, not the time of arrival"),
        ),
        migrations.AlterField(
            model_name='pendingupdate',
            name='from_me',
            field=models.SmallIntegerField(choices=[(-1, 'Unknown'), (0, 'No'), (1, 'Yes')]),
        ),
        migrations.AlterField(
            model_name='pendingupdate',
            name='rank_or_ms',
            field=models.BigIntegerField(help_text='milliseconds since the epoch, or the rank of a status'),
        ),
        migrations.AlterField(
            model_name='pendingupdate',
            name='subject',
            field=models.CharField(blank=True, default='', help_text='address key of the author of the update, or `me`', max_length=128),
        ),
        migrations.AlterField(
            model_name='webhookevent',
            name='attempts',
            field=models.PositiveSmallIntegerField(default=0, help_text='number of failed attempts to apply it'),
        ),
        migrations.AlterField(
            model_name='webhookevent',
            name='due_at',
            field=models.DateTimeField(default=django.utils.timezone.now, help_text='when to apply it, or to retry it'),
        ),
        migrations.AlterField(
            model_name='webhookevent',
            name='finished_at',
            field=models.DateTimeField(blank=True, help_text='when its outcome was set', null=True),
        ),
        migrations.AlterField(
            model_name='webhookevent',
            name='is_history',
            field=models.BooleanField(default=False, help_text='part of a history import, applied in small portions beside new events'),
        ),
        migrations.AlterField(
            model_name='webhookevent',
            name='outcome',
            field=models.CharField(choices=[('stored', 'stored, not yet applied'), ('applied', 'Applied'), ('ignored', 'understood, nothing to store'), ('unknown', 'not understood'), ('foreign', 'names another instance'), ('failed', 'could not be applied')], default='stored', max_length=16),
        ),
        migrations.AlterField(
            model_name='webhookevent',
            name='part',
            field=models.PositiveIntegerField(default=1, help_text='number of this part of a long import'),
        ),
        migrations.AlterField(
            model_name='webhookevent',
            name='parts',
            field=models.PositiveIntegerField(default=1, help_text='number of parts of the import'),
        ),
        migrations.AlterField(
            model_name='webhookevent',
            name='request_id',
            field=models.CharField(blank=True, default='', help_text="the request's id in the logs", max_length=64),
        ),
        migrations.AlterField(
            model_name='webhookevent',
            name='size',
            field=models.PositiveIntegerField(default=0, help_text='length of the body in characters'),
        ),
        migrations.AddConstraint(
            model_name='pendingupdate',
            constraint=models.UniqueConstraint(fields=('instance', 'key_id', 'chat', 'from_me', 'kind', 'subject'), name='pending_update'),
        ),
    ]
