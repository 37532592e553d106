"""Storing bodies as the endpoint does, and looking at what became of them."""

import itertools
from collections.abc import Iterable
from typing import Any

from conversations.ingest.conf import Options
from conversations.ingest.inbox.store import store_body
from conversations.models import Instance, WebhookEvent
from tests.conversations.ingest.streams import ANA, envelope

NO_DELAY = Options(window=0, interval=0)
SECOND = 1765458000
PHONE, LID = ANA

_numbers = itertools.count()


def text(key_id: str, jid: str = PHONE, body: str = "oi", *, at: int = 0, **more: Any) -> dict[str, Any]:
    """A message of Ana's."""
    key = {"id": key_id, "remoteJid": jid, "fromMe": False} | more.pop("key", {})
    record = {"key": key, "message": {"conversation": body}, "messageType": "conversation", **more}
    return envelope("messages.upsert", {**record, "messageTimestamp": SECOND + at})


def texts(count: int, first: int = 0) -> list[dict[str, Any]]:
    return [text(f"M{n}", at=n) for n in range(first, first + count)]


def connecting(state: str = "connecting") -> dict[str, Any]:
    """A state of the connection, each a little later than the one before."""
    n = next(_numbers)
    clock = f"2025-12-11T10:{n // 1000 % 60:02}:{n // 1000 // 60 % 60:02}.{n % 1000:03}Z"
    return envelope("connection.update", {"state": state, "statusReason": 200}, clock)


def store_all(instance: Instance, *bodies: Any) -> None:
    for body in bodies:
        store_body(instance, body)


def outcomes(instance: Instance) -> dict[str, int]:
    """How many events of an instance have which outcome."""
    found: dict[str, int] = {}
    for outcome in WebhookEvent.objects.filter(instance=instance).values_list("outcome", flat=True):
        found[outcome] = found.get(outcome, 0) + 1
    return found


def key_ids(events: Iterable[WebhookEvent]) -> list[str]:
    return [event.payload["data"]["key"]["id"] for event in events]
