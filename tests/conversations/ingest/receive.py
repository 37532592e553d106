"""Stores a body and applies it at once, in the calling process, for tests and benchmarks.

In production the endpoint stores it and a worker applies it.
"""

from django.db import transaction

from conversations.ingest.conf import Options
from conversations.ingest.inbox.store import store_body
from conversations.ingest.worker.batch import apply_events
from conversations.models import Instance, WebhookEvent


def receive(instance: Instance, body: object, *, suffix: str = "") -> WebhookEvent:
    """Store a body and apply its events, unless they are applied already.

    Args:
        instance: the instance that receives the webhook.
        body: decoded JSON of any type.
        suffix: the event name in the URL, or "".

    Returns:
        The event; of a history import in parts, the last part.

    Raises:
        DatabaseError, InterfaceError, OSError, RecursionError: see `inbox.store`.
    """
    digests = store_body(instance, body, suffix=suffix)
    with transaction.atomic():
        locked = Instance.objects.lock(instance.pk)
        events = list(WebhookEvent.objects.filter(instance=instance, digest__in=digests).order_by("part"))
        for event in events:
            if event.outcome == WebhookEvent.Outcome.STORED:
                apply_events(locked, [event], Options.read())
    events[-1].refresh_from_db()
    return events[-1]
