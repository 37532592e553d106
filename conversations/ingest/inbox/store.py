"""Stores each webhook body with one INSERT statement, before the body is parsed.

A repeated webhook body adds no row; if the outcome of its stored row is failed or unknown, that row becomes due again.
One INSERT statement stores a body with many records, such as a history import, as several rows. Each part is applied
or fails alone, and takes little memory.
"""

import hashlib
import json
from collections.abc import Callable
from typing import Any

from django.db import connection
from django.utils import timezone

from conversations.evolution import envelope
from conversations.evolution.large_json.encoder import encode
from conversations.evolution.large_json.values import LargeDict
from conversations.evolution.sanitize import sanitize
from conversations.ingest import event_policy
from conversations.ingest.conf import Options
from conversations.ingest.inbox import insert
from conversations.ingest.inbox.media import extract_media
from conversations.models import Instance
from logs.binding import current


def event_name(body: object, suffix: str = "") -> str:
    """Return an event's normalised name, from the webhook body or else from the URL; "" if neither contains a name."""
    name = body.get("event") if isinstance(body, dict) else None
    return envelope.event_name(name if isinstance(name, str) and name else suffix)


def store_body(instance: Instance, body: object, *, suffix: str = "") -> list[str]:
    """Store a webhook body without its secrets and with its media in files; return the digests of the body's rows.

    Args:
        instance: the instance that received the webhook.
        body: the decoded webhook body, of any JSON type; it is emptied.
        suffix: the event name in the URL, or "".

    Raises:
        DatabaseError, InterfaceError: the insert fails; the sender must retry.
        OSError: media cannot be written; the sender must retry.
        TooDeepError: the body is nested too deeply.
    """
    options, now = Options.read(), timezone.now()
    suffix, payload = sanitize(suffix), extract_media(instance, sanitize(body))
    name = event_name(payload, suffix)
    adapt = connection.ops.adapt_datetimefield_value
    received = due = adapt(now)
    if event_policy.is_latest_state(name, payload):
        due = adapt(event_policy.due_at(now, options.window, instance.pk))
    dump = dump_of(payload)
    parts = event_policy.split(name, payload, options.chunk)
    count = len(parts)
    if count > 1 and isinstance(payload, dict | list):
        payload.clear()  # a large body is not in memory twice
    request_id = current().get("request_id", "")
    rows: list[insert.Row] = []
    for part in range(1, count + 1):
        encoded = dump(parts.pop(0))
        # The digest covers the part's number, because two parts of one import may have equal contents.
        digest = _digest(suffix if count == 1 else f"{suffix} {part}/{count}", encoded)
        event = request_id, name, encoded, received, due, name in event_policy.HISTORY, part, count, len(encoded)
        rows.append((instance.pk, digest, *event))
    if isinstance(payload, dict | list):
        payload.clear()
    insert.insert_events(rows)
    return [digest for _, digest, *_ in rows]


def _digest(salt: str, encoded: str | bytearray) -> str:
    digest = hashlib.sha256(f"{salt}\n".encode())
    digest.update(encoded.encode() if isinstance(encoded, str) else encoded)
    return digest.hexdigest()


def dump_of(payload: object) -> Callable[[Any], str | bytearray]:
    """Return the function that writes a payload, or a part of it, as JSON; a large one as bytes, and it is emptied."""
    return encode if isinstance(payload, LargeDict) else _dump


# JSON in ASCII, because one emoji would quadruple the memory of a whole text. A decoded body contains no cycles.
_dump: Callable[[Any], str] = json.JSONEncoder(sort_keys=True, check_circular=False).encode
