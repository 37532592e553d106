"""Creates the change log, and the triggers that append each change of a row to it in the same transaction.

PostgreSQL appends the changes of a statement with one INSERT. A statement that changes more than `MAX_ROWS` rows
appends one `reset` for each instance instead. Two changes are found by row triggers, because they depend on the old
row: a message moves to another conversation, and labels of an instance are deleted or come back, which changes what
conversations show. SQLite has row triggers only, and its positions are the ids alone, since it has one writer.

On SQLite, altering one of the tables drops its triggers, so a later migration that alters the table must call
`drop_triggers` before and `create_triggers` after it; otherwise tests/conversations/changes/test_triggers.py fails.
"""

import uuid

from django.db import migrations, models

MAX_ROWS = 10_000  # rows of one statement that are named in the log
COLUMNS = "transaction_id, instance_id, conversation_id, row_id, resource, kind, at"
# resource → the columns of its table with the instance and the conversation of a row
TABLES = {
    "instance": ("id", "NULL::bigint"),
    "contact": ("instance_id", "NULL::bigint"),
    "conversation": ("instance_id", "id"),
    "message": ("instance_id", "conversation_id"),
}
EVENTS = {  # event → the kind of change, the transition table, and its name
    "INSERT": ("created", "NEW TABLE AS changed", "NEW"),
    "UPDATE": ("updated", "NEW TABLE AS changed", "NEW"),
    "DELETE": ("deleted", "OLD TABLE AS changed", "OLD"),
}
PARTICIPANTS = "SELECT conversation_id FROM {}"

# --- PostgreSQL -------------------------------------------------------------------------------------------------------
XID = "(SELECT pg_current_xact_id()::text::bigint)"
DELETED_LABELS = "jsonb_path_query_array({}.labels, '$.keyvalue() ? (@.value.deleted == true).key', '{{}}', true)"


def _append(rows, instance, conversation, pk, resource, kind):
    return f"""
        INSERT INTO conversations_change ({COLUMNS})
        SELECT {XID}, {instance}, {conversation}, {pk}, '{resource}', '{kind}', now() FROM {rows}
    """


def _append_or_reset(rows, instance, conversation, pk, resource, kind):
    """Append a change of each row. Of too many rows, replace them by a `reset` of each instance."""
    scope = "NULL::bigint" if resource == "instance" else instance
    return f"""
        {_append(rows, instance, conversation, pk, resource, kind)} LIMIT {MAX_ROWS + 1};
        GET DIAGNOSTICS count = ROW_COUNT;
        IF count > {MAX_ROWS} THEN
            DELETE FROM conversations_change WHERE transaction_id = {XID} AND resource = '{resource}'
            AND instance_id IN (SELECT DISTINCT {instance} FROM {rows});
            {_append(f"(SELECT DISTINCT {scope} AS scope FROM {rows}) AS scopes", "scope", "NULL", "NULL", resource,
                     "reset")};
        END IF;
    """


def _function(name, body):
    return f"""
        CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS
        $$DECLARE count bigint; BEGIN {body} RETURN NULL; END$$
    """


def _trigger(name, event, table, rest, function=None):
    return f"""
        CREATE TRIGGER {name} AFTER {event} ON conversations_{table} {rest} EXECUTE FUNCTION {function or name}()
    """


def _statement(name, event, table, tables, body):
    yield _function(name, body)
    yield _trigger(name, event, table, f"REFERENCING {tables} FOR EACH STATEMENT")


def _postgresql():
    for resource, (instance, conversation) in TABLES.items():
        for event, (kind, tables, _) in EVENTS.items():
            name = f"conversations_change_{resource}_{event.lower()}"
            body = _append_or_reset("changed", instance, conversation, "id", resource, kind)
            yield from _statement(name, event, resource, tables, body)
    for event, (_, tables, _) in EVENTS.items():
        rows = PARTICIPANTS.format("changed")
        if event == "UPDATE":
            tables, rows = f"{tables} OLD TABLE AS old_rows", f"{rows} UNION {PARTICIPANTS.format('old_rows')}"
        groups = f"conversations_conversation WHERE id IN ({rows})"
        body = _append(groups, "instance_id", "id", "id", "participants", "updated") + ";"
        yield from _statement(f"conversations_change_participants_{event.lower()}", event, "participant", tables, body)
    for resource, table in (*zip(TABLES, TABLES), ("participants", "participant")):
        name = f"conversations_change_{resource}_truncate"
        yield _function(name, _append("(SELECT) AS one", "NULL", "NULL", "NULL", resource, "reset") + ";")
        yield _trigger(name, "TRUNCATE", table, "FOR EACH STATEMENT")
    values = f"INSERT INTO conversations_change ({COLUMNS}) VALUES"
    name = "conversations_change_message_moved"
    yield _function(
        name, f"{values} ({XID}, OLD.instance_id, OLD.conversation_id, OLD.id, 'message', 'deleted', now());"
    )
    yield _trigger(
        name,
        "UPDATE OF conversation_id",
        "message",
        "FOR EACH ROW WHEN (OLD.conversation_id <> NEW.conversation_id)",
    )
    name = "conversations_change_participants_listed"
    yield _function(name, f"{values} ({XID}, NEW.instance_id, NEW.id, NEW.id, 'participants', 'updated', now());")
    yield _trigger(
        name,
        "UPDATE OF participants_as_of",
        "conversation",
        "FOR EACH ROW WHEN (OLD.participants_as_of <> NEW.participants_as_of)",
    )
    name = "conversations_change_labels"
    labelled = "conversations_conversation WHERE instance_id = NEW.id AND labels <> '{}'"
    yield _function(name, _append_or_reset(labelled, "instance_id", "id", "id", "conversation", "updated"))
    yield _trigger(
        name,
        "UPDATE OF labels",
        "instance",
        f"FOR EACH ROW WHEN ({DELETED_LABELS.format('OLD')} <> {DELETED_LABELS.format('NEW')})",
    )


POSTGRESQL_NAMES = (
    *(f"{resource}_{event.lower()}" for resource in (*TABLES, "participants") for event in (*EVENTS, "TRUNCATE")),
    *("message_moved", "participants_listed", "labels"),
)

# --- SQLite -----------------------------------------------------------------------------------------------------------
RANDOM = "abs(random() % 9007199254740992)"
NOW = "strftime('%Y-%m-%d %H:%M:%f', 'now')"
SQLITE_DELETED_LABELS = (
    "(SELECT group_concat(key) FROM json_each({}.labels)"
    " WHERE CASE WHEN type = 'object' THEN json_extract(value, '$.deleted') END)"
)


def _sqlite_append(instance, conversation, pk, resource, kind, rows=""):
    return f"""
        INSERT INTO conversations_change ({COLUMNS})
        SELECT {RANDOM}, {instance}, {conversation}, {pk}, '{resource}', '{kind}', {NOW} {rows};
    """


def _sqlite_trigger(name, event, table, statements, when="1"):
    return f"""
        CREATE TRIGGER conversations_change_{name} AFTER {event} ON conversations_{table} WHEN {when}
        BEGIN {statements} END
    """


def _sqlite():
    for resource, columns in TABLES.items():
        for event, (kind, _, row) in EVENTS.items():
            instance, conversation = (
                "NULL" if column.startswith("NULL") else f"{row}.{column}" for column in columns
            )
            statement = _sqlite_append(instance, conversation, f"{row}.id", resource, kind)
            yield _sqlite_trigger(f"{resource}_{event.lower()}", event, resource, statement)
    for event, (_, _, row) in EVENTS.items():
        pks = f"{row}.conversation_id" if event != "UPDATE" else "NEW.conversation_id, OLD.conversation_id"
        groups = f"FROM conversations_conversation WHERE id IN ({pks})"
        statement = _sqlite_append("instance_id", "id", "id", "participants", "updated", groups)
        yield _sqlite_trigger(f"participants_{event.lower()}", event, "participant", statement)
    yield _sqlite_trigger(
        "message_moved",
        "UPDATE OF conversation_id",
        "message",
        _sqlite_append("OLD.instance_id", "OLD.conversation_id", "OLD.id", "message", "deleted"),
        "OLD.conversation_id <> NEW.conversation_id",
    )
    yield _sqlite_trigger(
        "participants_listed",
        "UPDATE OF participants_as_of",
        "conversation",
        _sqlite_append("NEW.instance_id", "NEW.id", "NEW.id", "participants", "updated"),
        "OLD.participants_as_of <> NEW.participants_as_of",
    )
    labelled = "FROM conversations_conversation WHERE instance_id = NEW.id AND labels <> '{}'"
    yield _sqlite_trigger(
        "labels",
        "UPDATE OF labels",
        "instance",
        _sqlite_append("instance_id", "id", "id", "conversation", "updated", labelled),
        f"{SQLITE_DELETED_LABELS.format('OLD')} IS NOT {SQLITE_DELETED_LABELS.format('NEW')}",
    )


SQLITE_NAMES = tuple(name for name in POSTGRESQL_NAMES if not name.endswith("_truncate"))


# --- both -------------------------------------------------------------------------------------------------------------
def index_positions(apps, schema_editor):
    """Let positions be the primary key on PostgreSQL, so that a change costs one index entry and not two."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("""
            ALTER TABLE conversations_change DROP CONSTRAINT conversations_change_pkey,
            ADD CONSTRAINT conversations_change_pkey PRIMARY KEY (transaction_id, id)
        """)


def create_triggers(apps, schema_editor):
    """Create the triggers, and on PostgreSQL their functions."""
    is_postgresql = schema_editor.connection.vendor == "postgresql"
    for statement in _postgresql() if is_postgresql else _sqlite():
        schema_editor.execute(statement, params=None)


def drop_triggers(apps, schema_editor):
    """Drop the triggers, and on PostgreSQL their functions."""
    is_postgresql = schema_editor.connection.vendor == "postgresql"
    for name in POSTGRESQL_NAMES if is_postgresql else SQLITE_NAMES:
        schema_editor.execute(
            f"DROP FUNCTION conversations_change_{name} CASCADE" if is_postgresql
            else f"DROP TRIGGER conversations_change_{name}"
        )


class Migration(migrations.Migration):

    dependencies = [
        ('conversations', '0025_marks'),
    ]

    operations = [
        migrations.CreateModel(
            name='Change',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('transaction_id', models.BigIntegerField(help_text='PostgreSQL: the id of the transaction. SQLite: a random number, which other copies do not have.')),
                ('instance_id', models.BigIntegerField(help_text='null: all instances', null=True)),
                ('conversation_id', models.BigIntegerField(null=True)),
                ('row_id', models.BigIntegerField(help_text='the primary key; of participants, that of the group', null=True)),
                ('resource', models.CharField(choices=[('instance', 'Instance'), ('contact', 'Contact'), ('conversation', 'Conversation'), ('message', 'Message'), ('participants', 'Participants')], max_length=16)),
                ('kind', models.CharField(choices=[('created', 'Created'), ('updated', 'Updated'), ('deleted', 'Deleted'), ('reset', 'Reset')], max_length=8)),
                ('at', models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name='ChangeHistory',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.UUIDField(default=uuid.uuid4, editable=False)),
                ('removed_transaction', models.BigIntegerField(default=0)),
                ('removed_id', models.BigIntegerField(default=0)),
                ('removed_history', models.CharField(blank=True, default='', max_length=32)),
            ],
        ),
        migrations.RunPython(index_positions, migrations.RunPython.noop),
        migrations.RunPython(create_triggers, drop_triggers),
    ]
