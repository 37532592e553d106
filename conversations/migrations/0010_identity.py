"""Keeps saved names and push names apart, and remembers which LID had which phone number.

Reactions and votes are stored under the id of their author's contact instead of an address.
"""

from importlib import import_module

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import F, Q

STATEMENTS = ("reactions", "poll_results")
# SQLite rebuilds the altered tables, so their triggers are created again.
TRIGGERS = [import_module(f"conversations.migrations.{name}") for name in (
    "0002_one_instance", "0005_instance_keeps_its_name",
)]


def create_triggers(apps, schema_editor):
    """Create the triggers of the altered tables."""
    for module in TRIGGERS:
        module.create(apps, schema_editor)


def drop_triggers(apps, schema_editor):
    """Drop the triggers of the tables that are altered."""
    for module in TRIGGERS:
        module.drop(apps, schema_editor)


def keep_names(apps, schema_editor):
    """Take the names known so far for push names, together with their clocks."""
    apps.get_model("conversations", "Contact").objects.exclude(name="").update(push_name=F("name"))
    column = "jsonb_build_object('push_name', clocks -> 'name')"
    where = "clocks -> 'name' IS NOT NULL"
    assignment = f"clocks || {column}"
    if schema_editor.connection.vendor == "sqlite":
        assignment = "json_set(clocks, '$.push_name', json_extract(clocks, '$.name'))"
        where = "json_extract(clocks, '$.name') IS NOT NULL"
    update = f"UPDATE conversations_stateclock SET clocks = {assignment} WHERE subject LIKE 'contact:%' AND {where}"
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(update)


def name_authors(apps, schema_editor):
    """Store reactions and votes by contact; an author without a contact gets one."""
    message_model = apps.get_model("conversations", "Message")
    address_model = apps.get_model("conversations", "ContactAddress")
    contact_model = apps.get_model("conversations", "Contact")

    def author(instance_id, key, statement):
        kind, _, number = key.partition(":")
        if kind not in ("phone", "lid"):
            return key
        row = address_model.objects.filter(instance=instance_id, key=key).first()
        if row is None:
            jid = statement.get("who") or f"{number}@{'lid' if kind == 'lid' else 's.whatsapp.net'}"
            shown = {"phone" if kind == "phone" else "lid": jid.partition("@")[0]}
            contact = contact_model.objects.create(instance_id=instance_id, jid=jid, **shown)
            row = address_model.objects.create(instance_id=instance_id, key=key, jid=jid, contact=contact)
        return str(row.contact_id)

    rows = message_model.objects.filter(~Q(reactions={}) | ~Q(poll_results={}))
    for row in rows.only("instance", *STATEMENTS).iterator(chunk_size=500):
        for name in STATEMENTS:
            latest = {}
            for key, statement in sorted(getattr(row, name).items(), key=lambda item: item[1]["at"]):
                latest[author(row.instance_id, key, statement)] = statement
            setattr(row, name, latest)
        message_model.objects.filter(pk=row.pk).update(**{name: getattr(row, name) for name in STATEMENTS})


class Migration(migrations.Migration):

    dependencies = [
        ('conversations', '0009_order_within_a_second'),
    ]

    operations = [
        migrations.RunPython(drop_triggers, create_triggers),
        migrations.AddField(
            model_name='contact',
            name='push_name',
            field=models.CharField(blank=True, default='', help_text='name that the contact chose', max_length=255),
        ),
        migrations.AddField(
            model_name='contact',
            name='saved_name',
            field=models.CharField(blank=True, default='', help_text="name in the phone's address book", max_length=255),
        ),
        migrations.AddField(
            model_name='contactaddress',
            name='claims',
            field=models.JSONField(default=dict, editable=False, help_text='of a phone number: LID → first (ms) and last (day) claim; of a LID: waiting claims by number'),
        ),
        migrations.AddField(
            model_name='contactaddress',
            name='is_correspondent',
            field=models.BooleanField(default=False, editable=False, help_text='a LID under which messages were exchanged'),
        ),
        migrations.AddField(
            model_name='instance',
            name='own_lids',
            field=models.JSONField(blank=True, default=list, editable=False, help_text="the instance's own LIDs"),
        ),
        migrations.AddField(
            model_name='instance',
            name='own_names',
            field=models.JSONField(blank=True, default=list, editable=False, help_text='names that the instance has had'),
        ),
        migrations.AlterField(
            model_name='contact',
            name='name',
            field=models.CharField(blank=True, default='', help_text='the name to show', max_length=255),
        ),
        migrations.AlterField(
            model_name='contactaddress',
            name='contact',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='addresses', to='conversations.contact'),
        ),
        migrations.AlterField(
            model_name='message',
            name='poll_results',
            field=models.JSONField(blank=True, default=dict, help_text='contact id or `me` → {options, who, at (ms)}'),
        ),
        migrations.AlterField(
            model_name='message',
            name='reactions',
            field=models.JSONField(blank=True, default=dict, help_text='contact id or `me` → {emoji, who, at (ms)}; an empty emoji means removed'),
        ),
        migrations.AlterField(
            model_name='pendingupdate',
            name='kind',
            field=models.CharField(choices=[('status', 'Status'), ('edit', 'Edit'), ('details', 'Details'), ('delete', 'Delete'), ('reaction', 'Reaction'), ('poll', 'Poll'), ('album', 'Album'), ('call', 'stage of a call')], max_length=16),
        ),
        migrations.AddIndex(
            model_name='message',
            index=models.Index(condition=models.Q(models.Q(('reactions', {}), _negated=True), models.Q(('poll_results', {}), _negated=True), _connector='OR'), fields=['instance'], name='message_with_statements'),
        ),
        migrations.RunPython(create_triggers, drop_triggers),
        migrations.RunPython(keep_names, migrations.RunPython.noop),
        migrations.RunPython(name_authors, migrations.RunPython.noop),
    ]
