"""Adds kinds of messages and pending updates, and renames the stored details of messages to snake_case."""

import re
from typing import Any

from django.db import migrations, models
from django.db.models import Q

BATCH = 1000
_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[A-Za-z])(?=\d)")


def _renamed(value: Any) -> Any:
    """Return a JSON value with its names in snake_case and its `{low, high}` integers as integers."""
    if isinstance(value, list):
        return [_renamed(item) for item in value]
    if not isinstance(value, dict):
        return value
    low, high = value.get("low"), value.get("high")
    if isinstance(low, int) and isinstance(high, int):
        return high * 2**32 + (low & 0xFFFFFFFF)
    return {_WORD_START.sub("_", name).lower(): _renamed(item) for name, item in value.items()}


def rename_details(apps: Any, schema_editor: Any) -> None:
    """Rename the details of all messages, in batches by primary key."""
    messages = apps.get_model("conversations", "Message")._base_manager.using(schema_editor.connection.alias)
    last = 0
    while True:
        rows = list(messages.filter(~Q(details={}), pk__gt=last).order_by("pk").only("details")[:BATCH])
        if not rows:
            return
        last = rows[-1].pk
        changed = []
        for row in rows:
            renamed = _renamed(row.details)
            if renamed != row.details:
                row.details = renamed
                changed.append(row)
        messages.bulk_update(changed, ["details"])


class Migration(migrations.Migration):

    dependencies = [
        ('conversations', '0007_reword'),
    ]

    operations = [
        migrations.AlterField(
            model_name='message',
            name='kind',
            field=models.CharField(choices=[('text', 'Text'), ('image', 'Image'), ('video', 'Video'), ('video_note', 'Video Note'), ('audio', 'Audio'), ('document', 'Document'), ('sticker', 'Sticker'), ('sticker_pack', 'Sticker Pack'), ('location', 'Location'), ('live_location', 'Live Location'), ('contact', 'Contact'), ('contacts', 'Contacts'), ('poll', 'Poll'), ('poll_result', 'Poll Result'), ('button_reply', 'Button Reply'), ('list_reply', 'List Reply'), ('template_reply', 'Template Reply'), ('interactive_reply', 'Interactive Reply'), ('list', 'List'), ('buttons', 'Buttons'), ('template', 'Template'), ('interactive', 'Interactive'), ('product', 'Product'), ('order', 'Order'), ('payment', 'Payment'), ('event', 'Event'), ('group_invite', 'Group Invite'), ('channel_invite', 'Channel Invite'), ('call', 'Call'), ('notice', 'Notice'), ('unknown', 'Unknown')], max_length=24),
        ),
        migrations.AlterField(
            model_name='pendingupdate',
            name='kind',
            field=models.CharField(choices=[('status', 'Status'), ('edit', 'Edit'), ('details', 'Details'), ('delete', 'Delete'), ('reaction', 'Reaction'), ('poll', 'Poll'), ('album', 'Album')], max_length=16),
        ),
        migrations.AlterField(
            model_name='pendingupdate',
            name='subject',
            field=models.CharField(blank=True, default='', help_text='address key of the author, or `me`; for an album, a key id', max_length=128),
        ),
        migrations.RunPython(rename_details, migrations.RunPython.noop),
    ]
