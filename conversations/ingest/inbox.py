"""The inbox: every webhook body, stored before anything is made of it, in one insert.

The same body again is the same row; one that failed, or was not understood by an earlier version, is due again when it
comes again.
"""

import hashlib
import json
from functools import cache

from django.db import connection
from django.utils import timezone

from conversations.evolution import envelope
from conversations.evolution.scrub import scrubbed
from conversations.evolution.wire import items
from conversations.ingest import policy
from conversations.ingest.conf import Options
from conversations.ingest.media import detached
from conversations.models import Instance, WebhookEvent

_INSERT = """
INSERT INTO {table}
    (instance_id, name, payload, digest, outcome, reason, received_at, due_at, attempts, is_history, done, total)
    VALUES (%s, %s, {json}, %s, 'stored', '', %s, %s, 0, %s, 0, %s)
ON CONFLICT (instance_id, digest) DO UPDATE SET outcome = 'stored', attempts = 0, due_at = excluded.due_at
    WHERE {table}.outcome IN ('failed', 'unknown')
"""


def name_of(body: object, suffix: str = "") -> str:
    """Return the event's name, from the body or else from the URL; "" when neither says it."""
    named = body.get("event") if isinstance(body, dict) else None
    return envelope.event_name(named if isinstance(named, str) and named else suffix)


def store(instance: Instance, body: object, *, suffix: str = "") -> str:
    """Store a body, its media as files and its secrets left out; return its digest.

    Args:
        instance: whose webhook it came through.
        body: decoded JSON of any type.
        suffix: the event that the URL named, or "".

    Raises:
        OperationalError, InterfaceError: the database does not answer, and the sender must try again.
        OSError: media cannot be written, and the sender must try again.
        RecursionError: nested too deeply to be stored.
    """
    suffix, payload = scrubbed(suffix), detached(instance, scrubbed(body))
    name, now = name_of(payload, suffix), timezone.now()
    text = json.dumps(payload, ensure_ascii=False, sort_keys=True)
    digest = hashlib.sha256(f"{suffix}\n{text}".encode()).hexdigest()
    due = policy.due_at(name, now, Options.read().window, instance.pk)
    is_history = name in policy.HISTORY
    total = len(items(payload.get("data"))) if is_history and isinstance(payload, dict) else 0
    times = [connection.ops.adapt_datetimefield_value(moment) for moment in (now, due)]
    with connection.cursor() as cursor:
        cursor.execute(_insert(connection.vendor), [instance.pk, name, text, digest, *times, is_history, total])
    return digest


@cache
def _insert(vendor: str) -> str:
    table = WebhookEvent._meta.db_table  # noqa: SLF001 - Django's documented way to it
    return _INSERT.format(table=table, json="%s::jsonb" if vendor == "postgresql" else "%s")
