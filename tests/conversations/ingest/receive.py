"""Takes one body in and applies it at once, in the calling process: for tests and benchmarks.

Webhooks do not come this way: the endpoint stores them, and workers apply them.
"""

from django.db import transaction

from conversations.ingest.conf import Options
from conversations.ingest.inbox.store import store_body
from conversations.ingest.worker.batch import apply_events
from conversations.models import Instance, WebhookEvent


def receive(instance: Instance, body: object, *, suffix: str = "") -> WebhookEvent:
    """Store a body and apply what it says; the same body again is the same event, and applied once.

    Args:
        instance: whose webhook it came through.
        body: decoded JSON of any type.
        suffix: the event that the URL named, or "".

    Returns:
        The event; of a long import its last part.

    Raises:
        DatabaseError, InterfaceError, OSError, RecursionError: see `inbox.store`.
    """
    digests = store_body(instance, body, suffix=suffix)
    with transaction.atomic():
        row = Instance.objects.lock(instance.pk)
        events = list(WebhookEvent.objects.filter(instance=instance, digest__in=digests).order_by("part"))
        for event in events:
            if event.outcome == WebhookEvent.Outcome.STORED:
                apply_events(row, [event], Options.read())
    events[-1].refresh_from_db()
    return events[-1]
