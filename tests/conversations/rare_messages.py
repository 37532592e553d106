"""Builds webhook bodies of the messages with rare content in the file `messages.jsonl`."""

from tests.conversations.ingest.bodies import PHONE, SECOND, Body, envelope
from tests.payloads import messages

MESSAGES = {message["name"]: message for message in messages()}


def body_of(described: Body) -> Body:
    """Build the webhook body of a message in the file `messages.jsonl`."""
    if "event" in described:
        return envelope(described["event"], described["data"])
    message = described["message"]
    key = {"id": described["name"], "remoteJid": described.get("chat", PHONE), "fromMe": "from_me" in described}
    key |= {"participant": PHONE} if key["remoteJid"].endswith("@g.us") else {}
    message_type = described.get("type") or next((name for name in message or () if name != "messageContextInfo"), "")
    record = {"key": key, "message": message, "messageType": message_type, "messageTimestamp": SECOND}
    return envelope("messages.upsert", record | described.get("record", {}))
