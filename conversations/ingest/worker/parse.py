"""Parses a stored event into facts and decides its outcome; never raises an error and never touches the database."""

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
evolution_log = Context.EVOLUTION.logger  # payloads that the parser does not know

_LOGGED_OUTCOMES = {
    Outcome.UNKNOWN: (evolution_log, "Event NOT UNDERSTOOD: %s"),
    Outcome.FOREIGN: (log, "Event FOREIGN: %s"),
}


@dataclass(frozen=True)
class ParsedEvent:
    """An event's facts, its outcome once they are applied, and the reason for that outcome."""

    outcome: Outcome
    reason: str = ""
    facts: tuple[Fact, ...] = field(default=(), repr=False)


def parse(instance: Instance, event: WebhookEvent) -> ParsedEvent:
    """Parse an event of an instance.

    Outcomes:
        APPLIED: the event contains facts.
        IGNORED: the event is known and contains no facts.
        UNKNOWN: the event, or some of its items, are not known; the facts are those of the known items.
        FOREIGN: the body names another instance.
        FAILED: the parser raised an unexpected error.
    """
    try:
        parsed = envelope.parse_envelope(event.payload, event.name)
        if parsed.instance not in ("", instance.name):
            return ParsedEvent(Outcome.FOREIGN, "the body names another instance than the webhook")
        result = events.parse(parsed)
    except (coerce.UnknownShapeError, events.UnknownEventError) as error:
        return ParsedEvent(Outcome.UNKNOWN, str(error))
    except Exception as error:  # noqa: BLE001 - a defect in the parser: the event can be replayed after a fix
        with log_context(event):
            log.error("Event NOT READ: %s", type(error).__name__, extra=traceback_extra(error))  # noqa: TRY400 - its text may quote the payload
        return ParsedEvent(Outcome.FAILED, type(error).__name__)
    if result.problems:
        reason = f"{len(result.problems)} items not understood: {result.problems[0]}"
        return ParsedEvent(Outcome.UNKNOWN, reason, result.facts)
    return ParsedEvent(Outcome.APPLIED if result.facts else Outcome.IGNORED, facts=result.facts)


def log_context(event: WebhookEvent) -> AbstractContextManager[None]:
    """Add the event's name and id, and the id of the request that stored it, to log lines inside the block."""
    request = {"request_id": event.request_id} if event.request_id else {}
    return bound(event=event.name, event_id=event.pk, **request)


def log_outcome(event: WebhookEvent, parsed: ParsedEvent) -> None:
    """Log an outcome that an operator should look at."""
    if parsed.outcome in _LOGGED_OUTCOMES:
        logger, message = _LOGGED_OUTCOMES[parsed.outcome]
        with log_context(event):
            logger.warning(message, parsed.reason)
