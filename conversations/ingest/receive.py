"""Takes one webhook body in: stored first, without its secrets, then applied; what cannot be applied stays visible."""

import hashlib
import json
import traceback

from django.db import InterfaceError, OperationalError
from django.db.models import JSONField, Value

from conversations.evolution import envelope, events
from conversations.evolution.scrub import scrubbed
from conversations.evolution.wire import UnknownShapeError
from conversations.ingest.apply import apply
from conversations.ingest.media import detached
from conversations.models import Instance, WebhookEvent
from logs.binding import bound
from logs.contexts import Context

log = Context.WEBHOOK.logger
about_evolution = Context.EVOLUTION.logger  # what it sends that nobody here knows
Outcome = WebhookEvent.Outcome

# What failed, or was not understood by an earlier version, is tried again when it comes again.
DONE = (Outcome.APPLIED, Outcome.IGNORED, Outcome.FOREIGN)
LONGEST_REASON = 255


def receive(instance: Instance, body: object, *, suffix: str = "") -> WebhookEvent:
    """Store a body and apply what it says; the same body again is the same event, and applied once.

    Args:
        instance: whose webhook it came through.
        body: decoded JSON of any type.
        suffix: the event that the URL named, or "".

    Raises:
        OperationalError, InterfaceError: the database does not answer, and the sender must try again.
        OSError: media cannot be written, and the sender must try again.
        RecursionError: nested too deeply to be read.
    """
    suffix = scrubbed(suffix)
    event = _stored(instance, detached(instance, scrubbed(body)), suffix)
    with bound(instance=instance.name, event=event.name, event_id=event.pk):
        if event.outcome not in DONE:
            event.outcome, reason = _applied(instance, event, suffix)
            event.reason = reason[:LONGEST_REASON]
            event.save(update_fields=["outcome", "reason"])
        return event


def _stored(instance: Instance, payload: object, suffix: str) -> WebhookEvent:
    text = json.dumps([suffix, payload], sort_keys=True, ensure_ascii=False)
    digest = hashlib.sha256(text.encode()).hexdigest()
    named = payload.get("event") if isinstance(payload, dict) else None
    name = envelope.event_name(named if isinstance(named, str) and named else suffix)
    kept = Value(None, JSONField()) if payload is None else payload  # as it is, None would be SQL's NULL
    event, _ = WebhookEvent.objects.get_or_create(
        instance=instance, digest=digest, defaults={"payload": kept, "name": name}
    )
    event.payload = payload
    return event


def _applied(instance: Instance, event: WebhookEvent, suffix: str) -> tuple[Outcome, str]:
    """Apply a stored event; return what became of it and why."""
    try:
        opened = envelope.opened(event.payload, suffix)
        if opened.instance not in ("", instance.name):
            log.warning("an event names another instance than its webhook's")
            return Outcome.FOREIGN, "names another instance than its webhook's"
        reading = events.read(opened)
        apply(instance, reading.facts)
    except (UnknownShapeError, events.UnknownEventError) as error:
        about_evolution.warning("an event was not understood: %s", error)
        return Outcome.UNKNOWN, str(error)
    except (OperationalError, InterfaceError):
        raise  # the database's fault, and a passing one: the sender is to try again
    except Exception as error:  # noqa: BLE001 - ours: the event is kept, shown as failed, and can be applied again
        # Where it went wrong, and not what the exception says: it may quote what was written.
        stack = "".join(traceback.format_tb(error.__traceback__))
        log.error("an event could not be applied: %s", type(error).__name__, extra={"stack": stack})  # noqa: TRY400
        return Outcome.FAILED, type(error).__name__
    if reading.problems:
        reason = f"{len(reading.problems)} items not understood: {reading.problems[0]}"
        about_evolution.warning("an event was not wholly understood: %s", reason)
        return Outcome.UNKNOWN, reason
    return (Outcome.APPLIED if reading.facts else Outcome.IGNORED), ""
