"""Takes one body in and applies it at once, in the calling process: for the demo's own history, tests and benchmarks.

Webhooks do not come this way: the endpoint stores them, and workers apply them.
"""

from django.db import transaction

from conversations.ingest.batch import apply_events
from conversations.ingest.conf import Options
from conversations.ingest.inbox import store
from conversations.models import Instance, WebhookEvent


def receive(instance: Instance, body: object, *, suffix: str = "") -> WebhookEvent:
    """Store a body and apply what it says; the same body again is the same event, and applied once.

    Args:
        instance: whose webhook it came through.
        body: decoded JSON of any type.
        suffix: the event that the URL named, or "".

    Raises:
        OperationalError, InterfaceError, OSError, RecursionError: see `inbox.store`.
    """
    digest = store(instance, body, suffix=suffix)
    with transaction.atomic():
        row = Instance.objects.lock(instance.pk)
        event = WebhookEvent.objects.get(instance=instance, digest=digest)
        while event.outcome == WebhookEvent.Outcome.STORED:
            apply_events(row, [event], Options.read())
            event.refresh_from_db()
    return event
