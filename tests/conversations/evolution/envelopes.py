"""Addresses, and a function that builds an event envelope, for the tests of Evolution's parsers."""

from conversations.evolution import jid
from conversations.evolution.envelope import Envelope
from conversations.evolution.jid import Address

CLOCK = "2025-12-11T10:00:00.000"
LIVE, HISTORY = f"2:{CLOCK}", f"0:{CLOCK}"
CLOCK_MS = 1765447200000  # the time CLOCK in milliseconds since the epoch

PHONE = "5521987654321@s.whatsapp.net"
LID = "204857316940182@lid"
GROUP = "120363041785296310@g.us"
OWNER = "5511940028922@s.whatsapp.net"


def address(text: str) -> Address:
    """Parse a valid WhatsApp address."""
    parsed = jid.parse(text)
    assert parsed is not None
    return parsed


def envelope(event: str = "messages.upsert") -> Envelope:
    """Return an event envelope of an instance whose WhatsApp number is `OWNER`."""
    return Envelope(event, "sales", None, CLOCK, address(OWNER))
