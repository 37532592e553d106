"""Fills PostgreSQL with many instances, conversations and messages, in SQL alone."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from django.db import connection

INSTANCES = 100
MESSAGES_PER_CONVERSATION = 10
FIRST_NAMES = "Ana,João,Maria,José,Antônio,Francisca,Carlos,Paulo,Adriana,Juliana,Márcia,Luiz,Conceição,Íris,Zuleica"
SURNAMES = "Silva,Santos,Oliveira,Souza,Rodrigues,Ferreira,Alves,Pereira,Lima,Gomes,Araújo,Gonçalves,Xavier,Quirino"
# The first words are the most frequent ones; synthetic words follow them.
WORDS = (
    "bom,dia,pedido,obrigada,você,não,amanhã,preço,entrega,pagamento,boleto,horário,João,ação,endereço,família,"
    "orçamento,garantia,promoção,cartão"
)
VOCABULARY = 5000
SHIFT = 4  # the greater, the more frequent are the first words

# The statements that fill the tables; `{count}` is the number of conversations.
FILL = (
    """
    INSERT INTO conversations_contact (id, instance_id, jid, phone, lid, name, saved_name, push_name, picture_url,
        presence, created_at, updated_at)
    SELECT n, n % {instances} + 1, phone || '@s.whatsapp.net', phone, '', name, name, '', '', '', now(), now()
    FROM generate_series(1, {count}) AS n,
    LATERAL (SELECT '55' || 11 + n % 80 || 900000000 + n AS phone,
        (string_to_array('{first_names}', ','))[1 + floor(power(random(), 2) * {first_name_count} + 0 * n)] || ' ' ||
        (string_to_array('{surnames}', ','))[1 + floor(power(random(), 2) * {surname_count} + 0 * n)] AS name) AS made
    """,
    """
    INSERT INTO conversations_conversation (id, instance_id, kind, jid, contact_id, name, labels, last_message_at,
        last_message_text, last_message_kind, last_message_from_me, unread_count, read_until, read_until_order,
        marked_read_until, marked_read_until_order, is_archived, is_pinned, muted_until, is_deleted, participants_as_of,
        created_at, updated_at)
    SELECT id, instance_id, CASE WHEN is_group THEN 'group' ELSE 'direct' END,
        CASE WHEN is_group THEN 120363000000000000 + id || '@g.us' ELSE jid END, CASE WHEN NOT is_group THEN id END,
        name, CASE WHEN n % 60 = 5 THEN '{{"7": true}}' ELSE '{{}}' END::jsonb, at, 'bom dia', 'text', false,
        CASE WHEN n % 10 = 0 THEN 1 + n % 7 ELSE 0 END, at, 0, 'epoch', 0, n % 7 = 0, n % 50 = 0,
        CASE WHEN n % 120 = 2 THEN at + interval '8 hours' WHEN n % 30 = 2 THEN timestamptz '9999-12-31' END,
        n % 100 = 3, '', at, at
    FROM (SELECT *, id / {instances} AS n, id / {instances} % 12 = 1 AS is_group,
        timestamptz '2026-11-01' - interval '60 seconds' * id AS at FROM conversations_contact) AS contact
    """,
    """
    INSERT INTO conversations_message (id, instance_id, conversation_id, key_id, from_me, sender_id, sender_name,
        timestamp, sent_order, status, source, kind, text, media, details, quoted_key_id, quoted_sender, quoted_text,
        original_text, edited_at_is_estimated, is_deleted, reactions, poll_results, is_history, from_device, precedence,
        created_at, updated_at)
    SELECT chat.id * {per_chat} + n, instance_id, chat.id, '3EB0' || chat.id * {per_chat} + n, n % 2 = 1,
        CASE WHEN n % 2 = 0 THEN chat.id END, '', last_message_at - interval '1 hour' * n, 0, 4, '',
        CASE WHEN (chat.id + n) % 20 = 0 THEN 'image' ELSE 'text' END, text, '{{}}', '{{}}', '', '', '', '', false,
        false, '{{}}', '{{}}', false, false, '', now(), now()
    FROM conversations_conversation AS chat, generate_series(0, {per_chat} - 1) AS n,
    LATERAL (SELECT string_agg(coalesce((string_to_array('{words}', ','))[word], 'palavra' || word), ' ') AS text
        FROM (SELECT 1 + floor(power(random(), {shift}) * {vocabulary})::int AS word
            FROM generate_series(1, 6 + 0 * (chat.id + n))) AS chosen) AS made
    """,
)
BIG_TABLES = ("conversations_contact", "conversations_conversation", "conversations_message")


def fill(
    conversations: int,
    *,
    instances: int = INSTANCES,
    per_chat: int = MESSAGES_PER_CONVERSATION,
    more: Sequence[str] = (),
    values: Mapping[str, int] = MappingProxyType({}),
) -> None:
    """Fill the empty tables. The indexes of large tables are dropped meanwhile, and few triggers run.

    Args:
        conversations: the number of conversations.
        instances: the number of instances.
        per_chat: the number of messages of a conversation.
        more: further statements in the form of `FILL`.
        values: the values of the names in these.
    """
    filled_in = {
        **values,
        "instances": instances,
        "count": conversations,
        "per_chat": per_chat,
        "first_names": FIRST_NAMES,
        "first_name_count": len(FIRST_NAMES.split(",")),
        "surnames": SURNAMES,
        "surname_count": len(SURNAMES.split(",")),
        "words": WORDS,
        "vocabulary": VOCABULARY,
        "shift": SHIFT,
    }
    from conversations.models import Instance  # noqa: PLC0415 - the import needs configured Django settings

    Instance.objects.bulk_create(Instance(pk=n, name=f"scale-{n}", state="open") for n in range(1, instances + 1))
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = 'replica'; SET maintenance_work_mem = '1GB'")
        cursor.execute(
            "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index WHERE NOT indisunique"
            " AND indrelid = ANY(%s::regclass[])",
            [list(BIG_TABLES)],
        )
        indexes = cursor.fetchall()
        for name, _ in indexes:
            cursor.execute(f"DROP INDEX {name}")
        tally = "ALTER TABLE conversations_conversation ENABLE {} TRIGGER conversations_tally_insert"
        cursor.execute(tally.format("ALWAYS"))
        for statement in (*FILL, *more):
            cursor.execute(statement.format(**filled_in))
        cursor.execute(tally.format(""))
        for _, definition in indexes:
            cursor.execute(definition)
        for table in ("conversations_instance", *BIG_TABLES):
            last = f"SELECT setval(pg_get_serial_sequence(%s, 'id'), (SELECT max(id) FROM {table}))"  # noqa: S608 - a constant
            cursor.execute(last, [table])
        cursor.execute("SET session_replication_role = 'origin'")
        cursor.execute("VACUUM ANALYZE")
