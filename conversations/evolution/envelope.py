"""The envelope around every event: event name, instance, owner and clock."""

import re
from dataclasses import dataclass
from typing import Any

from conversations.evolution import coerce, jid
from conversations.evolution.jid import Address


@dataclass(frozen=True)
class Envelope:
    """One parsed webhook body.

    Attributes:
        event: the event's name, dotted and in lower case (`messages.upsert`).
        instance: the name of the instance, or "".
        data: the event's own payload, decoded JSON of any type.
        clock: `date_time` in sortable form (see `coerce.sortable_clock`), or "".
        owner: the instance's own address, if the body has it.
    """

    event: str
    instance: str
    data: Any
    clock: str
    owner: Address | None


def live_clock(envelope: Envelope) -> str:
    """Return the clock of the latest-state values in an event; it sorts after every `history_clock`."""
    return f"1:{envelope.clock}"


def history_clock(envelope: Envelope) -> str:
    """Return the clock of the values in a history import, which may be old: any live value replaces them."""
    return f"0:{envelope.clock}"


def event_name(text: str) -> str:
    """Normalize an event's name. Evolution writes it as `messages.upsert`, MESSAGES_UPSERT or messages-upsert.

    >>> event_name("GROUP_PARTICIPANTS_UPDATE")
    'group.participants.update'
    """
    return re.sub(r"[._\-]+", ".", text.strip()).strip(".").lower()[:64]


def parse_envelope(body: object, suffix: str = "") -> Envelope:
    """Parse a webhook body.

    Args:
        body: decoded JSON.
        suffix: the event's name in the URL, used if the body has none.

    Raises:
        UnknownShapeError: the body is not an object, or neither body nor URL names an event.
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
