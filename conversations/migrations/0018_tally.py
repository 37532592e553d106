"""Counts the conversations of each instance by state, and lets triggers on PostgreSQL keep the counts.

A statement inserts the differences that it made, as new rows of the tally. It changes no row of the tally, so it waits
for no other transaction. The condition of `is_unread` is that of the index `conversation_unread`. A migration that
changes the one must change the other: create the function again, and fill the tally again.
"""

from django.db import migrations, models

STATES = "instance_id, kind, is_archived, is_pinned, is_unread"
IS_UNREAD = "unread_count > 0 OR coalesce(unread_mark >= read_until, false)"
DIFFERENCES = f"""
    INSERT INTO conversations_conversationtally ({STATES}, conversations, unread_messages)
    SELECT {STATES}, sum(sign), sum(sign * unread_count)
    FROM (SELECT *, {IS_UNREAD} AS is_unread FROM ({{changed}}) AS rows WHERE NOT is_deleted) AS counted
    GROUP BY {STATES} HAVING sum(sign) <> 0 OR sum(sign * unread_count) <> 0
"""
NEW, OLD = "SELECT 1 AS sign, * FROM new_rows", "SELECT -1 AS sign, * FROM old_rows"
EVENTS = {  # event → the transition tables that it has, and the changed rows
    "INSERT": ("NEW TABLE AS new_rows", NEW),
    "UPDATE": ("OLD TABLE AS old_rows NEW TABLE AS new_rows", f"{NEW} UNION ALL {OLD}"),
    "DELETE": ("OLD TABLE AS old_rows", OLD),
}


def create_triggers(apps, schema_editor):
    """Create the triggers, and count the existing conversations."""
    if schema_editor.connection.vendor != "postgresql":
        return
    for event, (tables, changed) in EVENTS.items():
        name = f"conversations_tally_{event.lower()}"
        schema_editor.execute(f"""
            CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS
            $$BEGIN {DIFFERENCES.format(changed=changed)}; RETURN NULL; END$$
        """)
        schema_editor.execute(f"""
            CREATE TRIGGER {name} AFTER {event} ON conversations_conversation REFERENCING {tables}
            FOR EACH STATEMENT EXECUTE FUNCTION {name}()
        """)
    schema_editor.execute("""
        CREATE FUNCTION conversations_tally_truncate() RETURNS trigger LANGUAGE plpgsql AS
        $$BEGIN DELETE FROM conversations_conversationtally; RETURN NULL; END$$
    """)
    schema_editor.execute("""
        CREATE TRIGGER conversations_tally_truncate AFTER TRUNCATE ON conversations_conversation
        FOR EACH STATEMENT EXECUTE FUNCTION conversations_tally_truncate()
    """)
    schema_editor.execute(DIFFERENCES.format(changed="SELECT 1 AS sign, * FROM conversations_conversation"))


def drop_triggers(apps, schema_editor):
    """Drop the triggers."""
    if schema_editor.connection.vendor == "postgresql":
        for event in (*EVENTS, "TRUNCATE"):
            schema_editor.execute(f"DROP FUNCTION conversations_tally_{event.lower()} CASCADE")


class Migration(migrations.Migration):

    dependencies = [
        ('conversations', '0017_changes'),
    ]

    operations = [
        migrations.CreateModel(
            name='ConversationTally',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('direct', 'Direct'), ('group', 'Group'), ('broadcast', 'Broadcast'), ('status', 'Status'), ('newsletter', 'Newsletter'), ('other', 'Other')], max_length=16)),
                ('is_archived', models.BooleanField()),
                ('is_pinned', models.BooleanField()),
                ('is_unread', models.BooleanField()),
                ('conversations', models.IntegerField()),
                ('unread_messages', models.BigIntegerField()),
                ('instance', models.ForeignKey(db_constraint=False, on_delete=models.DO_NOTHING, related_name='+', to='conversations.instance')),
            ],
        ),
        migrations.RunPython(create_triggers, drop_triggers),
    ]
