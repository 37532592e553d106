"""Test helpers that store webhook bodies as the endpoint does, and read the outcomes of the stored events."""

import copy
from collections.abc import Iterable
from typing import Any

from conversations.ingest.conf import Options
from conversations.ingest.inbox.store import store_body
from conversations.models import Instance, WebhookEvent

NO_DELAY = Options(window=0, interval=0)


def store_all(instance: Instance, *bodies: Any) -> None:
    for body in bodies:
        store_body(instance, copy.deepcopy(body))


def outcomes(instance: Instance) -> dict[str, int]:
    """Return the number of the instance's stored events by outcome."""
    counts: dict[str, int] = {}
    for outcome in WebhookEvent.objects.filter(instance=instance).values_list("outcome", flat=True):
        counts[outcome] = counts.get(outcome, 0) + 1
    return counts


def key_ids(events: Iterable[WebhookEvent]) -> list[str]:
    return [event.payload["data"]["key"]["id"] for event in events]
