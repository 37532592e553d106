"""What a stored event says, and what is to become of it: pure, so that no event can do harm by being read."""

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
about_evolution = Context.EVOLUTION.logger  # what it sends that nobody here knows

_TOLD = {
    Outcome.UNKNOWN: (about_evolution, "Event NOT UNDERSTOOD: %s"),
    Outcome.FOREIGN: (log, "Event FOREIGN: %s"),
}


@dataclass(frozen=True)
class ParsedEvent:
    """What a read event is to become once its facts are applied, and why."""

    outcome: Outcome
    reason: str = ""
    facts: tuple[Fact, ...] = field(default=(), repr=False)


def parse(instance: Instance, event: WebhookEvent) -> ParsedEvent:
    """Read an event of an instance. Whatever it holds, there is a verdict.

    Outcomes: APPLIED or IGNORED, by whether it says anything; UNKNOWN with the facts of what was understood; FOREIGN;
    FAILED when reading it is beyond us.
    """
    try:
        opened = envelope.parse_envelope(event.payload, event.name)
        if opened.instance not in ("", instance.name):
            return ParsedEvent(Outcome.FOREIGN, "names another instance than its webhook's")
        reading = events.read(opened)
    except (coerce.UnknownShapeError, events.UnknownEventError) as error:
        return ParsedEvent(Outcome.UNKNOWN, str(error))
    except Exception as error:  # noqa: BLE001 - ours: the event is kept, shown as failed, and can be applied again
        with log_context(event):
            log.error("Event NOT READ: %s", type(error).__name__, extra=traceback_extra(error))  # noqa: TRY400 - it may quote it
        return ParsedEvent(Outcome.FAILED, type(error).__name__)
    if reading.problems:
        reason = f"{len(reading.problems)} items not understood: {reading.problems[0]}"
        return ParsedEvent(Outcome.UNKNOWN, reason, reading.facts)
    return ParsedEvent(Outcome.APPLIED if reading.facts else Outcome.IGNORED, facts=reading.facts)


def log_context(event: WebhookEvent) -> AbstractContextManager[None]:
    """Have what is logged meanwhile say which event it is about, and which request brought it."""
    request = {"request_id": event.request_id} if event.request_id else {}
    return bound(event=event.name, event_id=event.pk, **request)


def log_outcome(event: WebhookEvent, verdict: ParsedEvent) -> None:
    """Log a verdict that somebody should know of."""
    if told := _TOLD.get(verdict.outcome):
        logger, words = told
        with log_context(event):
            logger.warning(words, verdict.reason)
