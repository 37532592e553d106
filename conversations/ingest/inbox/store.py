"""The inbox: every webhook body, stored before anything is made of it, in one insert.

The same body again is the same row; one that failed, or was not understood by an earlier version, is due again when it
comes again. A long import is stored as several rows by the same insert, so that each is applied, or fails, by itself.
"""

import hashlib
import json

from django.db import connection
from django.utils import timezone

from conversations.evolution import envelope
from conversations.evolution.sanitize import sanitize
from conversations.ingest import event_policy
from conversations.ingest.conf import Options
from conversations.ingest.inbox import insert
from conversations.ingest.inbox.media import extract_media
from conversations.models import Instance
from logs.binding import current


def event_name(body: object, suffix: str = "") -> str:
    """Return the event's name, from the body or else from the URL; "" when neither says it."""
    named = body.get("event") if isinstance(body, dict) else None
    return envelope.event_name(named if isinstance(named, str) and named else suffix)


def store_body(instance: Instance, body: object, *, suffix: str = "") -> list[str]:
    """Store a body, its media as files and its secrets left out; return the digest of each part of it.

    Args:
        instance: whose webhook it came through.
        body: decoded JSON of any type.
        suffix: the event that the URL named, or "".

    Raises:
        DatabaseError, InterfaceError: the database does not take it now, and the sender must try again.
        OSError: media cannot be written, and the sender must try again.
        RecursionError: nested too deeply to be stored.
    """
    options, now = Options.read(), timezone.now()
    suffix, payload = sanitize(suffix), extract_media(instance, sanitize(body))
    name = event_name(payload, suffix)
    due = event_policy.due_at(now, options.window, instance.pk) if event_policy.is_latest_state(name, payload) else now
    times = [connection.ops.adapt_datetimefield_value(moment) for moment in (now, due)]
    bodies = event_policy.split_history(name, payload, options.chunk)
    request_id = current().get("request_id", "")
    rows: list[insert.Row] = []
    for part, text in enumerate(map(_text, bodies), start=1):
        # A part may be equal to another one of the same import, and is yet another row.
        whose = suffix if len(bodies) == 1 else f"{suffix} {part}/{len(bodies)}"
        digest = hashlib.sha256(f"{whose}\n{text}".encode()).hexdigest()
        event = request_id, name, text, *times, name in event_policy.HISTORY, part, len(bodies), len(text)
        rows.append((instance.pk, digest, *event))
    insert.insert_events(rows)
    return [digest for _, digest, *_ in rows]


def _text(payload: object) -> str:
    return json.dumps(payload, ensure_ascii=False, sort_keys=True)
