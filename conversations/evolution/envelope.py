"""Parses the envelope of a webhook body: the fields that every event has, such as event name, instance and time."""

import re
from dataclasses import dataclass
from typing import Any

from conversations.evolution import coerce, jid
from conversations.evolution.jid import Address


@dataclass(frozen=True)
class Envelope:
    """The parsed envelope of one webhook body.

    Attributes:
        event: the event's name, dotted and in lower case (`messages.upsert`).
        instance: the name of the instance, or "".
        data: the event's data, a decoded JSON value of any type.
        clock: the `date_time` of the body as sortable text (see `coerce.sortable_clock`), or "".
        owner: the instance's own WhatsApp address; None if the body does not contain one.
    """

    event: str
    instance: str
    data: Any
    clock: str
    owner: Address | None


def live_clock(envelope: Envelope) -> str:
    """Return the clock (sortable time) for latest-state values of a live event.

    The clock of a live event sorts after the clock of any history import.
    """
    return f"1:{envelope.clock}"


def history_clock(envelope: Envelope) -> str:
    """Return the clock (sortable time) for latest-state values of a history import.

    Values of a history import may be outdated, so any value of a live event replaces a value of a history import.
    """
    return f"0:{envelope.clock}"


def event_name(text: str) -> str:
    """Normalize an event's name, which Evolution writes as `messages.upsert`, `MESSAGES_UPSERT` or `messages-upsert`.

    >>> event_name("GROUP_PARTICIPANTS_UPDATE")
    'group.participants.update'
    """
    return re.sub(r"[._\-]+", ".", text.strip()).strip(".").lower()[:64]


def parse_envelope(body: object, suffix: str = "") -> Envelope:
    """Parse a webhook body.

    Args:
        body: any decoded JSON value.
        suffix: the event's name from the URL, used if the body names no event.

    Raises:
        UnknownShapeError: the body is not a JSON object, or neither the body nor the URL names an event.
    """
    envelope = coerce.require_object(body, "the body")
    event = event_name(coerce.text(envelope.get("event")) or suffix)
    if not event:
        raise coerce.UnknownShapeError("no event is named")
    return Envelope(
        event=event,
        instance=coerce.text(envelope.get("instance")),
        data=envelope.get("data"),
        clock=coerce.sortable_clock(envelope.get("date_time")),
        owner=jid.parse(envelope.get("sender")),
    )
