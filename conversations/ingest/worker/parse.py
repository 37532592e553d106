"""Parses a stored event into facts and decides the event's outcome; never raises an error or uses the database."""

from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from conversations.evolution import coerce, envelope, events
from conversations.evolution.facts import Fact
from conversations.ingest.errors import traceback_extra
from conversations.models import Instance, WebhookEvent
from logs.binding import bound
from logs.contexts import Context

Outcome = WebhookEvent.Outcome
log = Context.WEBHOOK.logger
evolution_log = Context.EVOLUTION.logger  # logs payloads that the parser does not understand

_LOGGED_OUTCOMES = {
    Outcome.UNKNOWN: (evolution_log, "Event NOT UNDERSTOOD: %s"),
    Outcome.FOREIGN: (log, "Event FOREIGN: %s"),
}


@dataclass(frozen=True)
class ParsedEvent:
    """An event's facts, the outcome that the event gets when its facts are applied, and the reason for the outcome."""

    outcome: Outcome
    reason: str = ""
    facts: tuple[Fact, ...] = field(default=(), repr=False)


def parse(instance: Instance, event: WebhookEvent) -> ParsedEvent:
    """Parse a stored event of an instance into facts, and decide the event's outcome.

    Outcomes:
        APPLIED: the event contains facts.
        IGNORED: the parser understands the event, but the event contains no facts.
        UNKNOWN: the parser does not understand the event or some items in it; the facts of other items are returned.
        FOREIGN: the webhook body names another instance.
        FAILED: the parser raised an unexpected error.
    """
    try:
        parsed = envelope.parse_envelope(event.payload, event.name, event.received_at)
        if parsed.instance not in ("", instance.name):
            return ParsedEvent(Outcome.FOREIGN, "the body names another instance than the webhook")
        result = events.parse(parsed)
    except (coerce.UnknownShapeError, events.UnknownEventError) as error:
        return ParsedEvent(Outcome.UNKNOWN, str(error))
    except Exception as error:  # noqa: BLE001 - the event can be replayed after a fix of the parser
        with log_context(event):
            log.error("Event NOT READ: %s", type(error).__name__, extra=traceback_extra(error))  # noqa: TRY400 - error texts may quote payloads
        return ParsedEvent(Outcome.FAILED, type(error).__name__)
    if result.problems:
        reason = f"{len(result.problems)} items not understood: {result.problems[0]}"
        return ParsedEvent(Outcome.UNKNOWN, reason, result.facts)
    return ParsedEvent(Outcome.APPLIED if result.facts else Outcome.IGNORED, facts=result.facts)


def log_context(event: WebhookEvent) -> AbstractContextManager[None]:
    """Add an event's name and id, and the id of the request that stored the event, to log lines inside the block."""
    request = {"request_id": event.request_id} if event.request_id else {}
    return bound(event=event.name, event_id=event.pk, **request)


def log_outcome(event: WebhookEvent, parsed: ParsedEvent) -> None:
    """Log a warning if an operator should look at the event's outcome."""
    if parsed.outcome in _LOGGED_OUTCOMES:
        logger, message = _LOGGED_OUTCOMES[parsed.outcome]
        with log_context(event):
            logger.warning(message, parsed.reason)
