"""Tickets: signed texts in a URL that replace the header `Authorization` where a page cannot send one.

With a media ticket `<img>` and `<audio>` load media, with an event ticket `EventSource` opens a stream. A ticket names
the token or the user that asked for it, its end, and perhaps one message. It grants nothing by itself: each use looks
up the present rights of that token or user. So a ticket ends with its token, its user and their memberships. All
tickets of a period are equal, so that URLs stay equal and browsers can keep what they loaded. An event ticket also
names the session of a user without a token, by a hash, because a stream ends with its session.
"""

import datetime as dt
import enum
from dataclasses import dataclass
from typing import Any

from django.core import signing

from conversations.access.policy import Access

PERIOD = 15 * 60  # seconds; a ticket is valid until the end of the period after the one in which it was issued
MAX_CHARS = 250


class Purpose(enum.StrEnum):
    """What a ticket opens; a ticket of one purpose is not valid for another."""

    MEDIA = "conversations.media_tickets"
    EVENTS = "conversations.event_tickets"


@dataclass(frozen=True)
class Ticket:
    """What a ticket says.

    Attributes:
        user_id: the user who asked for the ticket.
        token_id: the API token with which the user asked; None for a session.
        message_id: the only message whose media the ticket shows; None for all messages.
        expires: when the ticket ends, in seconds since the epoch.
        session: the digest of the session in which the user asked; "" if the ticket names none.
    """

    user_id: int
    token_id: int | None
    message_id: int | None
    expires: int
    session: str = ""

    @property
    def expires_at(self) -> dt.datetime:
        """When the ticket ends."""
        return dt.datetime.fromtimestamp(self.expires, dt.UTC)


def issue(access: Access, now: float, message_id: int | None = None, session: str = "") -> Ticket:
    """Return a ticket for who has asked; `now` is in seconds since the epoch."""
    return Ticket(access.user_id, access.token_id, message_id, (int(now) // PERIOD + 2) * PERIOD, session)


def sign(ticket: Ticket, purpose: Purpose) -> str:
    """Return a ticket as a text for a URL."""
    numbers = (ticket.user_id, ticket.token_id or 0, ticket.message_id or 0, ticket.expires)
    return signing.Signer(salt=purpose).sign("-".join(filter(None, (*map(str, numbers), ticket.session))))


def read(text: str, purpose: Purpose, now: float) -> Ticket | None:
    """Return what a ticket says; None if the ticket is forged, has ended, or has another purpose."""
    try:
        values: Any = signing.Signer(salt=purpose).unsign(text[:MAX_CHARS])
    except signing.BadSignature:
        return None
    *numbers, session = [*values.split("-"), ""][:5]
    user_id, token_id, message_id, expires = map(int, numbers)
    return Ticket(user_id, token_id or None, message_id or None, expires, session) if now < expires else None
