"""Loads stored events; large payloads are decoded in steps, so that applying them takes little memory.

Django would load a payload as text, and decode it whole. Python stores a text with an emoji, and each decoded text that
contains one, with four bytes for each character.
"""

import json
from collections.abc import Mapping
from typing import Any

import psycopg
from django.db import connection
from django.db.backends.utils import CursorWrapper

from conversations.evolution.large_json.decoder import decode
from conversations.ingest.conf import LARGE
from conversations.models import WebhookEvent

# As bytes, because Python would store a text with an emoji with four bytes for each character.
_SELECT = {
    "postgresql": "SELECT convert_to(payload::text, 'UTF8') FROM {table} WHERE id = %s",
    "sqlite": "SELECT CAST(payload AS BLOB) FROM {table} WHERE id = %s",
}


def load_events(sizes: Mapping[int, int], fields: tuple[str, ...]) -> list[WebhookEvent]:
    """Return events with the given fields and their payloads, in the order of their primary keys.

    Args:
        sizes: the primary keys of the events, each with the length of its payload in bytes.
        fields: the names of fields to load.
    """
    small = {pk for pk, size in sizes.items() if size <= LARGE}
    large = sizes.keys() - small
    events = list(WebhookEvent.objects.only(*fields, "payload").filter(pk__any_of=small)) if small else []
    for event in WebhookEvent.objects.only(*fields).filter(pk__any_of=large) if large else ():
        event.payload = _load(event.pk)
        events.append(event)
    return sorted(events, key=lambda event: event.pk)


def _load(pk: int) -> Any:
    """Return a payload; its member `data` is a `LargeList` if it is a list."""
    try:
        return decode(_read(pk), json.JSONDecoder(), is_limited=False)
    except ValueError:  # it is nested too deeply to be decoded in steps
        return json.loads(_read(pk))


def _read(pk: int) -> bytearray:
    """Return a payload as JSON in UTF-8."""
    with _cursor() as cursor:
        cursor.execute(_SELECT[connection.vendor].format(table=WebhookEvent._meta.db_table), [pk])  # noqa: SLF001 - Django documents _meta
        (raw,) = cursor.fetchone()
    return bytearray(raw)


def _cursor() -> CursorWrapper:
    """Return a cursor; on PostgreSQL, one that receives bytes as they are, and not as text of twice the length."""
    if connection.vendor != "postgresql":
        return connection.cursor()
    connection.ensure_connection()
    cursor = psycopg.Cursor(connection.connection)
    cursor.format = psycopg.pq.Format.BINARY
    return CursorWrapper(cursor, connection)
