"""Fills PostgreSQL with rows of every model that the admin shows. Importing it needs configured settings."""

from django.contrib.auth.models import User
from django.db import connection

from conversations.models import ApiToken, IngestCounter, Instance
from tests.benchmarks import scale_rows

INSTANCES = 500
MESSAGES_PER_CONVERSATION = 4
EVENTS = 500_000
READINGS = 1_000_000
TOKENS = WEBHOOKS = 20
LONG_CHATS = 30  # conversations of the first instance with many messages
LONG = 1_000  # messages of these
LABEL = "7"  # the label of some conversations (`scale_rows.FILL`)

VALUES = {
    "events": EVENTS,
    "readings": READINGS,
    "webhooks": WEBHOOKS,
    "attempts": 100_000,
    "members": 3,
    "long_chats": LONG_CHATS,
    "long": LONG,
}
# The statements that fill the other tables; `{count}` is the number of conversations. User 1 is an administrator.
FILL = (
    """
    INSERT INTO conversations_contactaddress (instance_id, key, jid, contact_id, claims, is_correspondent)
    SELECT instance_id, jid, jid, id, '{{}}', true FROM conversations_contact
    """,
    """
    INSERT INTO conversations_participant (conversation_id, contact_id, role, is_present, clock)
    SELECT id, 1 + (id + n * {instances}) % {count}, 'member', true, ''
    FROM conversations_conversation, generate_series(1, {members}) AS n WHERE kind = 'group'
    """,
    """
    INSERT INTO conversations_message (id, instance_id, conversation_id, key_id, from_me, sender_id, sender_name,
        timestamp, sent_order, status, source, kind, text, media, details, quoted_key_id, quoted_sender, quoted_text,
        original_text, edited_at_is_estimated, is_deleted, reactions, poll_results, is_history, from_device, precedence,
        created_at, updated_at)
    SELECT pk, instance_id, chat.id, '3EB0' || pk, n % 2 = 1, CASE WHEN n % 2 = 0 THEN chat.id END, '',
        last_message_at - interval '1 day' - interval '1 minute' * n, 0, 4, '', 'text', 'bom dia ' || n, '{{}}',
        '{{}}', '', '', '', '', false, n % 100 = 0, '{{}}', '{{}}', n % 2 = 0, false, '', now(), now()
    FROM conversations_conversation AS chat, generate_series(1, {long}) AS n,
    LATERAL (SELECT ({count} + 1) * {per_chat} + chat.id / {instances} * {long} + n AS pk) AS made
    WHERE chat.id % {instances} = 0 AND chat.id <= {long_chats} * {instances}
    """,
    """
    INSERT INTO conversations_webhookevent (instance_id, name, payload, digest, outcome, reason, received_at, due_at,
        attempts, is_history, part, parts, size, request_id)
    SELECT n % {instances} + 1, CASE WHEN n % 3 = 0 THEN 'messages.update' ELSE 'messages.upsert' END,
        '{{"event": "messages.upsert"}}', md5(n::text) || md5(n::text),
        CASE WHEN n % 1000 = 1 THEN 'failed' WHEN n % 1000 = 2 THEN 'unknown' ELSE 'applied' END,
        CASE WHEN n % 1000 = 1 THEN 'DataError' ELSE '' END, at, at, 0, false, 1, 1, 30, ''
    FROM generate_series(1, {events}) AS n, LATERAL (SELECT now() - interval '1 second' * ({events} - n) AS at) AS made
    """,
    """
    INSERT INTO conversations_readingrecord (user_id, username, instance_id, page, row_pk, conversation_pk,
        conversation_jid, read_at)
    SELECT 1, 'administrator', instance_id, (ARRAY['inbox', 'conversation', 'messages'])[1 + n % 3], chat.id, chat.id,
        jid, now() - interval '1 minute' * ({readings} - n)
    FROM generate_series(1, {readings}) AS n JOIN conversations_conversation AS chat ON chat.id = 1 + n % {count}
    """,
    """
    INSERT INTO conversations_webhooksubscription (user_id, name, url, secret, events, instance_ids, is_active,
        off_reason, cursor, failures, next_attempt_at, test_requested, claimed_by, created_at, updated_at)
    SELECT 1, 'webhook ' || n, 'https://crm.example/' || n, '', '[]', '[]', false, '', '', 0, now(), false, '', now(),
        now()
    FROM generate_series(1, {webhooks}) AS n
    """,
    """
    INSERT INTO conversations_deliveryattempt (subscription_id, kind, message_id, at, duration_ms, changes, cursor,
        status, error)
    SELECT 1 + n % {webhooks}, 'changes', 'm' || n, now() - interval '1 second' * ({attempts} - n), 30, 5, '',
        CASE WHEN n % 100 = 0 THEN 500 ELSE 200 END, ''
    FROM generate_series(1, {attempts}) AS n
    """,
)


def fill_once(conversations: int) -> None:
    """Create an administrator and fill the tables, unless an earlier run has."""
    if User.objects.filter(username="administrator").exists():
        return
    administrator = User.objects.create(username="administrator", is_superuser=True, is_staff=True)
    scale_rows.fill(conversations, instances=INSTANCES, per_chat=MESSAGES_PER_CONVERSATION, more=FILL, values=VALUES)
    Instance.objects.update(labels={LABEL: {"name": "Pago", "color": 1}}, owner_jid="5511900000000@s.whatsapp.net")
    IngestCounter.objects.bulk_create(
        IngestCounter(instance_id=number, name=name, value=number)
        for number in range(1, INSTANCES + 1)
        for name in ("received", "applied", "refused")
    )
    for number in range(TOKENS):
        ApiToken.objects.issue(administrator, name=f"token {number}")
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
