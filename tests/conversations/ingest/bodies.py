"""Builds webhook bodies as Evolution sends them, for tests."""

import itertools
from typing import Any

Body = dict[str, Any]

OWNER = "5511940028922@s.whatsapp.net"
PEOPLE = (
    ("5521987654321@s.whatsapp.net", "204857316940182@lid"),
    ("5531991234567@s.whatsapp.net", "176093845520917@lid"),
)
ANA = PHONE, LID = PEOPLE[0]
SHORT_FORM = "552187654321@s.whatsapp.net"  # PHONE without Brazil's ninth digit
GROUP = "120363041785296310@g.us"
SECOND = 1765458000  # the timestamp of a message with at=0

_numbers = itertools.count()


def envelope(event: str, data: Any, clock: str = "2025-12-11T10:00:00.000Z", **fields: Any) -> Body:
    return {"event": event, "instance": "", "data": data, "date_time": clock, "sender": OWNER, **fields}


def text(  # noqa: PLR0913 - each argument sets one field of a message
    key_id: str,
    jid: str = PHONE,
    body: str = "oi",
    *,
    from_me: bool = False,
    at: int = 0,
    key: Body | None = None,
    **record: Any,
) -> Body:
    """Build the webhook body of a text message.

    Args:
        key_id: the id in the message key.
        jid: the WhatsApp address of the chat.
        body: the text of the chat message.
        from_me: whether the instance sent the message.
        at: seconds to add to the timestamp `SECOND`.
        key: further fields of the message key.
        record: further fields of the message record.
    """
    key = {"id": key_id, "remoteJid": jid, "fromMe": from_me, **(key or {})}
    record = {"key": key, "message": {"conversation": body}, "messageType": "conversation", **record}
    return envelope("messages.upsert", {**record, "messageTimestamp": SECOND + at})


def texts(count: int, first: int = 0) -> list[Body]:
    """Build webhook bodies of `count` messages of one contact, with the key ids `M0`, `M1`, …."""
    return [text(f"M{n}", at=n) for n in range(first, first + count)]


def connection_state(state: str = "connecting") -> Body:
    """Build an event with a connection state, and a later clock than the event of the previous call."""
    n = next(_numbers)
    clock = f"2025-12-11T10:{n // 1000 % 60:02}:{n // 1000 // 60 % 60:02}.{n % 1000:03}Z"
    return envelope("connection.update", {"state": state, "statusReason": 200}, clock)
