"""Parses a stored event into facts and decides the event's outcome; never raises an error or uses the database."""

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from conversations.evolution import coerce, envelope, events
from conversations.evolution.envelope import OwnAddresses
from conversations.evolution.facts import Fact
from conversations.evolution.large_json.values import LargeList
from conversations.evolution.server_url import server_key
from conversations.ingest import reasons
from conversations.ingest.errors import traceback_extra
from conversations.ingest.inbox.media import has_media
from conversations.models import Instance, WebhookEvent
from conversations.models.stored_texts import fill
from logs.binding import bound
from logs.contexts import Context
from logs.line_limit import line_limit, shorten

Outcome = WebhookEvent.Outcome
log = Context.WEBHOOK.logger
evolution_log = Context.EVOLUTION.logger  # logs payloads that the parser does not understand

_OTHER_SERVER = (
    "its server_url is not the server of the instance; correct SERVER_URL in Evolution, or the instance's --server"
)
_LOGGED_OUTCOMES = {
    Outcome.UNKNOWN: (evolution_log, "Event NOT UNDERSTOOD: %s"),
    Outcome.FOREIGN: (log, "Event FOREIGN: %s"),
}


@dataclass(frozen=True)
class ParsedEvent:
    """An event's facts, the outcome that the event gets when its facts are applied, and the reason for the outcome.

    `is_other_server` is true if the body names another Evolution server than that of the instance.
    """

    outcome: Outcome
    reason: str = ""
    facts: tuple[Fact, ...] = field(default=(), repr=False)
    is_other_server: bool = False


def parse(instance: Instance, event: WebhookEvent, own: OwnAddresses) -> ParsedEvent:
    """Parse a stored event of an instance into facts, and decide the event's outcome.

    `own` are the known addresses of the instance.

    Outcomes:
        APPLIED: the event contains facts.
        IGNORED: the parser understands the event, but the event contains no facts.
        UNKNOWN: the parser does not understand the event or some items in it; the facts of other items are returned.
        FOREIGN: the webhook body names another instance.
        FAILED: the parser raised an unexpected error.
        STORED: the web process has left media in the records, which must become files first (`worker.left_media`).
    """
    try:
        parsed = envelope.parse_envelope(event.payload, event.name, event.received_at, own)
        if parsed.instance not in ("", instance.name):
            names = {"named": shorten(parsed.instance), "expected": shorten(instance.name)}
            return ParsedEvent(Outcome.FOREIGN, fill(reasons.OTHER_INSTANCE, **names))
        if isinstance(parsed.data, list | LargeList) and has_media(instance, event.payload):
            return ParsedEvent(Outcome.STORED)
        result = events.parse(parsed)
    except (coerce.UnknownShapeError, events.UnknownEventError) as error:
        return ParsedEvent(Outcome.UNKNOWN, str(error))
    except Exception as error:  # noqa: BLE001 - the event can be replayed after a fix of the parser
        with log_context(event):
            log.error("Event NOT READ: %s", type(error).__name__, extra=traceback_extra(error))  # noqa: TRY400 - error texts may quote payloads
        return ParsedEvent(Outcome.FAILED, type(error).__name__)
    if result.problems:
        reason = fill(reasons.NOT_UNDERSTOOD, count=len(result.problems), first=result.problems[0])
        return ParsedEvent(Outcome.UNKNOWN, reason, result.facts)
    is_other_server = _is_other_server(instance, event.payload)
    outcome, reason = (Outcome.APPLIED, "") if result.facts else (Outcome.IGNORED, result.ignored)
    return ParsedEvent(outcome, reason, result.facts, is_other_server)


def _is_other_server(instance: Instance, payload: Any) -> bool:
    """Return whether a body names an Evolution server that is not the instance's."""
    url = payload.get("server_url") if isinstance(payload, dict) else None
    named = server_key(url) if isinstance(url, str) else ""
    return bool(named and instance.server_url) and named != server_key(instance.server_url)


def log_context(event: WebhookEvent) -> AbstractContextManager[None]:
    """Add an event's name and id, and the id of the request that stored the event, to log lines inside the block."""
    request = {"request_id": event.request_id} if event.request_id else {}
    return bound(event=event.name, event_id=event.pk, **request)


def log_outcome(event: WebhookEvent, parsed: ParsedEvent) -> None:
    """Log a warning if an operator should look at the event's outcome, or at the URL of the Evolution server.

    A sender repeats its mistakes with each event, so only some of the warnings about an instance are logged.
    """
    warnings = [(log, "Event FROM ANOTHER SERVER: %s", _OTHER_SERVER)] if parsed.is_other_server else []
    if parsed.outcome in _LOGGED_OUTCOMES:
        warnings.append((*_LOGGED_OUTCOMES[parsed.outcome], parsed.reason))
    for logger, message, detail in warnings:
        left_out = line_limit.admit((message, event.instance_id))
        if left_out is not None:
            with log_context(event):
                logger.warning(message, detail, extra=left_out)
