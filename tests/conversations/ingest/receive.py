"""Stores a webhook body and applies its events immediately, in the calling process, for tests and benchmarks.

In production, the endpoint stores a webhook body and a worker applies its events.
"""

import copy
from collections.abc import Collection, Iterable

from django.db import transaction

from conversations.evolution.facts import Fact
from conversations.ingest.apply.apply import apply
from conversations.ingest.conf import Options
from conversations.ingest.inbox.store import store_body
from conversations.ingest.worker.batch import apply_events
from conversations.models import Instance, Message, WebhookEvent


def receive(instance: Instance, body: object, *, suffix: str = "") -> WebhookEvent:
    """Store a webhook body and apply the stored events, except events that are already applied.

    Args:
        instance: the instance to which the webhook belongs.
        body: the decoded JSON of the webhook, of any type.
        suffix: the event name at the end of the webhook's URL, or "".

    Returns:
        The stored event; for a history import in several parts, the event of the last part. If the event only repeats a
        state, its row may be deleted; then the event that was stored last under its name, or under any name if another
        thread has deleted the row.

    Raises:
        DatabaseError, InterfaceError, OSError, TooDeepError: raised by `inbox.store`.
    """
    events = apply_stored(instance, store_body(instance, copy.deepcopy(body), suffix=suffix))
    stored = WebhookEvent.objects.filter(instance=instance)
    if not events:
        return stored.exclude(outcome=WebhookEvent.Outcome.STORED).latest("pk")
    stored = stored.filter(name=events[-1].name)
    return stored.filter(pk=events[-1].pk).first() or stored.exclude(outcome=WebhookEvent.Outcome.STORED).latest("pk")


def apply_stored(instance: Instance, digests: Collection[str]) -> list[WebhookEvent]:
    """Apply the stored events with these digests, except events that are already applied; return all of them."""
    with transaction.atomic():
        locked = Instance.objects.lock(instance.pk)
        events = list(WebhookEvent.objects.filter(instance=instance, digest__in=digests).order_by("part"))
        for event in events:
            if event.outcome == WebhookEvent.Outcome.STORED:
                apply_events(locked, [event], Options.read())
    return events


def apply_facts(instance: Instance, facts: Iterable[Fact]) -> list[Message]:
    """Apply facts of an instance in a transaction with the instance lock; return the new messages."""
    with transaction.atomic():
        return apply(Instance.objects.lock(instance.pk), facts)
