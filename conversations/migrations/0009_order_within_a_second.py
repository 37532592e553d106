"""Adds the order of messages within one second, the matching part of read watermarks, and a mark for estimated times.

The new columns have a constant default, so adding them does not depend on the number of rows. Then two updates fill
them: one for the conversations, and one for the messages that share their conversation and second with another message.
Most of the time goes into rebuilding three indexes of the messages, during which messages cannot be written.
"""

from django.db import migrations, models
from django.db.models import Exists, F, OuterRef

PREVIEW_CHARS = 255
WHOLE_SECOND = 2**63 - 1
ORDER = "bigint NOT NULL DEFAULT 0"
FLAG = "boolean NOT NULL DEFAULT false"


def fill(apps, schema_editor):
    """Order messages of one second by arrival, the best order known; let read watermarks cover their whole second."""
    alias = schema_editor.connection.alias
    messages = apps.get_model("conversations", "Message").objects.using(alias)
    same_second = messages.filter(conversation=OuterRef("conversation"), timestamp=OuterRef("timestamp"))
    tied = messages.filter(Exists(same_second.exclude(pk=OuterRef("pk"))), is_history=False)
    tied.update(sent_order=F("id"))
    conversations = apps.get_model("conversations", "Conversation").objects.using(alias)
    for name in ("read_until", "marked_read_until"):
        conversations.filter(**{f"{name}__year__gt": 1970}).update(**{f"{name}_order": WHOLE_SECOND})


def choose_last_messages(apps, schema_editor):
    """Choose the last message of each conversation whose last second has several messages."""
    alias = schema_editor.connection.alias
    messages = apps.get_model("conversations", "Message").objects.using(alias)
    conversations = apps.get_model("conversations", "Conversation").objects.using(alias)
    later = messages.filter(
        conversation=OuterRef("pk"),
        timestamp=OuterRef("last_message_at"),
        sent_order__gt=OuterRef("last_message__sent_order"),
    )
    for conversation in conversations.filter(Exists(later)).iterator():
        rows = messages.filter(conversation=conversation, timestamp=conversation.last_message_at)
        last = max(rows, key=lambda row: (row.sent_order, row.key_id, row.from_me))
        conversations.filter(pk=conversation.pk).update(
            last_message=last,
            last_message_text="" if last.is_deleted else last.text[:PREVIEW_CHARS],
            last_message_kind=last.kind,
            last_message_from_me=last.from_me,
        )


def add_column(model, name, declaration, field):
    """Add a column whose default stays in the database. Django would copy the whole table on SQLite."""
    table = f"conversations_{model}"
    return migrations.SeparateDatabaseAndState(
        database_operations=[
            migrations.RunSQL(
                f"ALTER TABLE {table} ADD COLUMN {name} {declaration}", f"ALTER TABLE {table} DROP COLUMN {name}"
            )
        ],
        state_operations=[migrations.AddField(model, name, field)],
    )


class Migration(migrations.Migration):
    dependencies = [("conversations", "0008_content_kinds")]
    operations = [
        add_column(
            "message",
            "sent_order",
            ORDER,
            models.BigIntegerField(
                default=0,
                editable=False,
                help_text="orders the messages of one second: the least `date_time` of the message's live copies in ms",
            ),
        ),
        add_column(
            "message",
            "edited_at_is_estimated",
            FLAG,
            models.BooleanField(
                default=False, editable=False, help_text="`edited_at` comes from the clock of the Evolution host"
            ),
        ),
        add_column(
            "conversation",
            "read_until_order",
            ORDER,
            models.BigIntegerField(default=0, editable=False, help_text="and up to this `sent_order`"),
        ),
        add_column(
            "conversation",
            "marked_read_until_order",
            ORDER,
            models.BigIntegerField(default=0, editable=False, help_text="and up to this `sent_order`"),
        ),
        migrations.AlterField(
            "message",
            "is_history",
            models.BooleanField(default=False, help_text="known from a history import alone"),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
        migrations.RemoveIndex("message", "message_thread"),
        migrations.RemoveIndex("message", "message_timeline"),
        migrations.RemoveIndex("message", "message_all_timeline"),
        migrations.AddIndex(
            "message",
            models.Index(fields=["conversation", "timestamp", "sent_order", "key_id", "id"], name="message_thread"),
        ),
        migrations.AddIndex(
            "message",
            models.Index(fields=["instance", "timestamp", "sent_order", "key_id", "id"], name="message_timeline"),
        ),
        migrations.AddIndex(
            "message", models.Index(fields=["timestamp", "sent_order", "key_id", "id"], name="message_all_timeline")
        ),
        migrations.RunPython(choose_last_messages, migrations.RunPython.noop),
    ]
