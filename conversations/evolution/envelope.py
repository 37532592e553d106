"""The envelope round every event: its name in one form, whose it is, and its clock."""

import re
from dataclasses import dataclass
from typing import Any

from conversations.evolution import coerce, jid
from conversations.evolution.jid import Address


@dataclass(frozen=True)
class Envelope:
    """One webhook body, opened. `event` is dotted and lower case, as in the body (`messages.upsert`)."""

    event: str
    instance: str
    data: Any
    clock: str
    owner: Address | None


def event_name(text: str) -> str:
    """Return an event's name in one form, from any of its three: `messages.upsert`, MESSAGES_UPSERT, messages-upsert.

    >>> event_name("GROUP_PARTICIPANTS_UPDATE")
    'group.participants.update'
    """
    return re.sub(r"[._\-]+", ".", text.strip()).strip(".").lower()[:64]


def parse_envelope(body: object, suffix: str = "") -> Envelope:
    """Open a webhook body; `suffix` is the event in the URL, used where the body names none.

    Raises:
        UnknownShapeError: the body is no object, or nothing names an event.
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
