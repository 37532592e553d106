"""Names the payload variants of each demo event, and lists the variants that the default demo must contain."""

from collections.abc import Iterator
from typing import Any

from conversations.demo.events import Event


def records(event: Event) -> list[dict[str, Any]]:
    if event.name not in ("messages.upsert", "messages.set", "send.message"):
        return []
    return event.data if isinstance(event.data, list) else [event.data]


def variants(event: Event) -> Iterator[str]:
    """Yield the names of the payload variants that a demo event is an example of."""
    data = event.data
    channel = "cloud" if event.instance.is_cloud_api else "baileys"
    yield {list: "array", dict: "object", type(None): "null"}[type(data)]
    for item in data if isinstance(data, list) else [data]:
        for name in ("status", "state", "action", "type"):
            if isinstance(item, dict) and isinstance(item.get(name), str):
                yield f"{channel} {item[name]}"
    for record in records(event):
        direction = "outbound" if record["key"]["fromMe"] else "inbound"
        yield f"{channel} {record['messageType']}"
        yield f"{channel} {direction} {addressing(record['key'])}"
        if (record.get("contextInfo") or {}).get("stanzaId"):
            yield f"{channel} reply"
        if record["message"].get("reactionMessage", {}).get("text") == "":
            yield "reaction removed"
        if record["messageType"] == "reactionMessage" and "text" not in record["message"]["reactionMessage"]:
            yield "reaction removed, cloud"
    yield from odd_variants(event)


def odd_variants(event: Event) -> Iterator[str]:
    data = event.data
    if event.name == "chats.upsert":
        yield "empty" if not data else "without chat" if any("remoteJid" not in item for item in data) else "usual"
    elif event.name == "contacts.update" and isinstance(data, dict):
        yield (
            "of a group" if data["remoteJid"].endswith("@g.us") else "without name" if not data["pushName"] else "usual"
        )
    elif event.name == "messages.update":
        direction = "outbound" if data["fromMe"] else "inbound"
        yield f"{direction} {data['status']}"
        yield f"{direction} {data['remoteJid'].partition('@')[2]}"
    elif event.name == "messages.delete":
        yield "by the API" if "key" in data else "by the author"
    elif event.name == "qrcode.updated":
        yield "limit" if "statusCode" in data else "code"
    elif event.name == "labels.edit":
        yield "deleted" if data["deleted"] else "created"
    elif event.name == "presence.update":
        yield from (presence["lastKnownPresence"] for presence in data["presences"].values())
    elif event.name == "messages.set":
        yield "latest" if event.extra["isLatest"] else "more to come"
        yield "without progress" if event.extra["progress"] is None else "progress"


def addressing(key: dict[str, Any]) -> str:
    server = key["remoteJid"].partition("@")[2]
    return f"{server} {key.get('addressingMode', 'plain')}{' with alternative' if key.get('remoteJidAlt') else ''}"


EXPECTED = {
    "call": [
        "baileys accept",
        "baileys offer",
        "baileys reject",
        "baileys ringing",
        "baileys terminate",
        "baileys timeout",
    ],
    "chats.delete": ["array"],
    "chats.set": ["array"],
    "chats.update": ["array"],
    "chats.upsert": ["empty", "without chat", "usual"],
    "connection.update": ["baileys close", "baileys connecting", "baileys open", "baileys refused"],
    "contacts.update": ["array", "object", "of a group", "without name"],
    "contacts.upsert": ["array", "object"],
    "group-participants.update": ["baileys add", "baileys promote", "baileys remove"],
    "groups.upsert": ["array"],
    "instance.create": ["object"],
    "instance.delete": ["object"],
    "labels.association": ["baileys add", "baileys remove"],
    "labels.edit": ["deleted", "created"],
    "logout.instance": ["null"],
    "messages.delete": ["by the author", "by the API"],
    "messages.edited": ["baileys MESSAGE_EDIT", "baileys REVOKE"],
    "messages.set": [
        "array",
        "baileys DELIVERY_ACK",
        "baileys ERROR",
        "baileys READ",
        "baileys reply",
        "baileys inbound g.us plain",
        "baileys inbound lid plain",
        "baileys inbound s.whatsapp.net plain",
        "latest",
        "more to come",
        "without progress",
    ],
    "messages.update": [
        "outbound DELIVERY_ACK",
        "outbound ERROR",
        "outbound PLAYED",
        "outbound READ",
        "outbound SERVER_ACK",
        "outbound lid",
        "outbound s.whatsapp.net",
        "inbound DELIVERED",
        "inbound FAILED",
        "inbound READ",
        "inbound SENT",
    ],
    "messages.upsert": [
        "baileys audioMessage",
        "baileys contactMessage",
        "baileys conversation",
        "baileys documentMessage",
        "baileys imageMessage",
        "baileys locationMessage",
        "baileys outbound g.us lid",
        "baileys outbound s.whatsapp.net pn with alternative",
        "baileys pollCreationMessageV3",
        "baileys pollUpdateMessage",
        "baileys ptvMessage",
        "baileys reactionMessage",
        "baileys reply",
        "baileys stickerMessage",
        "baileys inbound broadcast pn with alternative",
        "baileys inbound g.us lid",
        "baileys inbound lid lid",
        "baileys inbound s.whatsapp.net lid with alternative",
        "baileys inbound s.whatsapp.net pn with alternative",
        "baileys videoMessage",
        "cloud audioMessage",
        "cloud buttonMessage",
        "cloud contactMessage",
        "cloud conversation",
        "cloud documentMessage",
        "cloud imageMessage",
        "cloud locationMessage",
        "cloud reactionMessage",
        "cloud reply",
        "cloud stickerMessage",
        "cloud videoMessage",
        "reaction removed",
        "reaction removed, cloud",
    ],
    "messaging-history.set": ["object"],
    "presence.update": ["available", "composing", "recording", "unavailable"],
    "qrcode.updated": ["code", "limit"],
    "remove.instance": ["null"],
    "send.message": [
        "baileys reactionMessage",
        "baileys reply",
        "cloud PENDING",
        "cloud conversation",
        "cloud documentMessage",
    ],
    "send.message.update": ["baileys MESSAGE_EDIT"],
    "status.instance": ["object"],
}
