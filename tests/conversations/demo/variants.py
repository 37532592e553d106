"""What is worth telling apart in events, as words, and the words that a full-size history must show."""

from collections.abc import Iterator
from typing import Any

from conversations.demo.events import Event


def records(event: Event) -> list[dict[str, Any]]:
    if event.name not in ("messages.upsert", "messages.set", "send.message"):
        return []
    return event.data if isinstance(event.data, list) else [event.data]


def variants(event: Event) -> Iterator[str]:
    """What is worth telling apart in an event, as words."""
    data = event.data
    channel = "cloud" if event.channel.is_cloud_api else "baileys"
    yield {list: "array", dict: "object", type(None): "null"}[type(data)]
    for item in data if isinstance(data, list) else [data]:
        for name in ("status", "state", "action", "type"):
            if isinstance(item, dict) and isinstance(item.get(name), str):
                yield f"{channel} {item[name]}"
    for record in records(event):
        author = "ours" if record["key"]["fromMe"] else "theirs"
        yield f"{channel} {record['messageType']}"
        yield f"{channel} {author} {addressing(record['key'])}"
        if (record.get("contextInfo") or {}).get("stanzaId"):
            yield f"{channel} reply"
        if record["message"].get("reactionMessage", {}).get("text") == "":
            yield "reaction taken back"
        if record["messageType"] == "reactionMessage" and "text" not in record["message"]["reactionMessage"]:
            yield "reaction taken back, cloud"
    yield from odd_variants(event)


def odd_variants(event: Event) -> Iterator[str]:
    data = event.data
    if event.name == "chats.upsert":
        yield "empty" if not data else "names no chat" if any("remoteJid" not in item for item in data) else "usual"
    elif event.name == "contacts.update" and isinstance(data, dict):
        yield (
            "of a group" if data["remoteJid"].endswith("@g.us") else "without name" if not data["pushName"] else "usual"
        )
    elif event.name == "messages.update":
        author = "ours" if data["fromMe"] else "theirs"
        yield f"{author} {data['status']}"
        yield f"{author} {data['remoteJid'].partition('@')[2]}"
    elif event.name == "messages.delete":
        yield "by the API" if "key" in data else "by somebody"
    elif event.name == "qrcode.updated":
        yield "limit" if "statusCode" in data else "code"
    elif event.name == "labels.edit":
        yield "deleted" if data["deleted"] else "made"
    elif event.name == "presence.update":
        yield from (presence["lastKnownPresence"] for presence in data["presences"].values())
    elif event.name == "messages.set":
        yield "latest" if event.root["isLatest"] else "more to come"
        yield "no progress told" if event.root["progress"] is None else "progress"


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
    "chats.upsert": ["empty", "names no chat", "usual"],
    "connection.update": ["baileys close", "baileys connecting", "baileys open", "baileys refused"],
    "contacts.update": ["array", "object", "of a group", "without name"],
    "contacts.upsert": ["array", "object"],
    "group-participants.update": ["baileys add", "baileys promote", "baileys remove"],
    "groups.upsert": ["array"],
    "instance.create": ["object"],
    "instance.delete": ["object"],
    "labels.association": ["baileys add", "baileys remove"],
    "labels.edit": ["deleted", "made"],
    "logout.instance": ["null"],
    "messages.delete": ["by somebody", "by the API"],
    "messages.edited": ["baileys MESSAGE_EDIT", "baileys REVOKE"],
    "messages.set": [
        "array",
        "baileys DELIVERY_ACK",
        "baileys ERROR",
        "baileys READ",
        "baileys reply",
        "baileys theirs g.us plain",
        "baileys theirs lid plain",
        "baileys theirs s.whatsapp.net plain",
        "latest",
        "more to come",
        "no progress told",
    ],
    "messages.update": [
        "ours DELIVERY_ACK",
        "ours ERROR",
        "ours PLAYED",
        "ours READ",
        "ours SERVER_ACK",
        "ours lid",
        "ours s.whatsapp.net",
        "theirs DELIVERED",
        "theirs FAILED",
        "theirs READ",
        "theirs SENT",
    ],
    "messages.upsert": [
        "baileys audioMessage",
        "baileys contactMessage",
        "baileys conversation",
        "baileys documentMessage",
        "baileys imageMessage",
        "baileys locationMessage",
        "baileys ours g.us lid",
        "baileys ours s.whatsapp.net pn with alternative",
        "baileys pollCreationMessageV3",
        "baileys pollUpdateMessage",
        "baileys ptvMessage",
        "baileys reactionMessage",
        "baileys reply",
        "baileys stickerMessage",
        "baileys theirs broadcast pn with alternative",
        "baileys theirs g.us lid",
        "baileys theirs lid lid",
        "baileys theirs s.whatsapp.net lid with alternative",
        "baileys theirs s.whatsapp.net pn with alternative",
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
        "reaction taken back",
        "reaction taken back, cloud",
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
