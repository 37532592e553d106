"""What is said of messages after they were sent: statuses, edits, deletions, reactions and votes.

`chat` decides which messages an update can mean. A group, or a phone number that is not ours, is taken at its word. A
LID, bare digits or our own number say nothing about where the message is stored (versions differ, and an edit is
written from its author's side), so that only the key id counts there, among direct chats.
"""

import datetime as dt
import json
from collections.abc import Iterator

from conversations.evolution import content, jid, wire
from conversations.evolution.envelope import Envelope
from conversations.evolution.facts import Fact, MessageUpdate
from conversations.evolution.jid import Address, Server
from conversations.evolution.status import status_of
from conversations.evolution.wire import Json, UnknownShapeError

EDIT = ("14", "MESSAGE_EDIT")
REVOKE = ("0", "REVOKE")
ANYBODY = -1
# The Cloud API's statuses are of our messages, and Evolution writes `fromMe: false` beside them.
CLOUD_KEY = "wamid."


def status(raw: object, envelope: Envelope) -> Iterator[Fact]:
    """Yield what one item of messages.update says: a status, the votes of a poll, or an edit."""
    update = wire.mapping(raw, "the update")
    key = update["key"] if isinstance(update.get("key"), dict) else update
    key_id = wire.key_id(update.get("keyId")) or wire.key_id(key.get("id"))
    if not key_id:
        raise UnknownShapeError("the update names no message")
    chat, from_me = trusted_chat(key.get("remoteJid"), envelope.owner), _from_me(key.get("fromMe"))
    if key_id.startswith(CLOUD_KEY):
        from_me = ANYBODY
    rank = status_of(update.get("status"))
    if rank is not None:
        yield MessageUpdate(key_id, "status", rank, {}, chat, from_me)
    at = wire.clock_ms(envelope.clock)
    votes = _votes(update.get("pollUpdates"))
    if votes:
        yield MessageUpdate(key_id, "poll", at, {"options": votes}, chat, from_me)
    inner = content.unwrapped(update["message"]) if isinstance(update.get("message"), dict) else {}
    if isinstance(inner.get("protocolMessage"), dict):
        yield from protocol_update(inner["protocolMessage"], chat=chat, from_me=from_me, fallback_at=at)


def edited(raw: object, envelope: Envelope) -> Iterator[Fact]:
    """Yield what messages.edited says. Its key is seen from the editor's side: whose message it is cannot be told."""
    body = wire.mapping(raw, "the protocol message")
    key = body.get("key")
    chat = trusted_chat(key.get("remoteJid") if isinstance(key, dict) else None, envelope.owner)
    at = wire.clock_ms(envelope.clock)
    yield from protocol_update(body, chat=chat, from_me=ANYBODY, fallback_at=at)


def sent_edit(raw: object, envelope: Envelope) -> Iterator[Fact]:
    """Yield what send.message.update says: an edit of ours, made through the API."""
    body = wire.mapping(raw, "the protocol message")
    key = body.get("key")
    chat = trusted_chat(key.get("remoteJid") if isinstance(key, dict) else None, envelope.owner)
    yield from protocol_update(body, chat=chat, from_me=1, fallback_at=wire.clock_ms(envelope.clock))


def deleted(raw: object, envelope: Envelope) -> Iterator[Fact]:
    """Yield what messages.delete says, in both its shapes. Participant and fromMe describe who deleted."""
    body = wire.mapping(raw, "the deletion")
    key = body["key"] if isinstance(body.get("key"), dict) else body
    addresses = [a for name in ("remoteJid", "remoteJidAlt", "senderPn") if (a := jid.parse(key.get(name)))]
    addresses = [a for a in addresses if envelope.owner is None or a.key != envelope.owner.key]
    if not wire.key_id(key.get("id")) or not addresses:
        raise UnknownShapeError("the deletion names no message")
    chat = next((a for a in addresses if a.server is Server.PHONE and addresses[0].is_person), addresses[0])
    yield MessageUpdate(key["id"], "delete", 0, {}, chat.key)


def protocol_update(body: Json, *, chat: str, from_me: int, fallback_at: int) -> Iterator[Fact]:
    """Yield what a ProtocolMessage says: an edit or a revocation; its other types are between clients.

    Args:
        body: the ProtocolMessage; `type` is a number or a name.
        chat: the key of the chat it is known to be in, or "".
        from_me: 1, 0, or -1 where it cannot be told.
        fallback_at: ms since the epoch, for an edit without its own time.
    """
    key, kind = body.get("key"), str(body.get("type", ""))
    key_id = wire.key_id(key.get("id")) if isinstance(key, dict) else ""
    if not key_id:
        return
    if kind in REVOKE:
        yield MessageUpdate(key_id, "delete", 0, {}, chat, from_me)
    elif kind in EDIT or (not kind and body.get("editedMessage")):
        at = wire.milliseconds(body.get("timestampMs"))
        text = content.read(body.get("editedMessage")).text
        yield MessageUpdate(key_id, "edit", fallback_at if at is None else at, {"text": text}, chat, from_me)


def reaction_update(body: Json, chat: Address, who: str, at: int) -> Iterator[Fact]:
    """Yield one person's reaction: the latest counts, and one without a text removes it."""
    key = body.get("key")
    key_id = wire.key_id(key.get("id")) if isinstance(key, dict) else ""
    if key_id:
        sent = wire.milliseconds(body.get("senderTimestampMs")) or at
        emoji = wire.text(body.get("text"), 64)
        yield MessageUpdate(key_id, "reaction", sent, {"emoji": emoji}, chat.key, ANYBODY, who)


def vote_update(raw: object, poll_id: str, chat: Address, time: dt.datetime) -> Iterator[Fact]:
    """Yield a poll's results. Evolution sends the whole count each time, so that the latest counts."""
    if poll_id and (votes := _votes(raw)):
        yield MessageUpdate(poll_id, "poll", wire.ms_of(time), {"options": votes}, chat.key)


def trusted_chat(raw: object, owner: Address | None) -> str:
    """Return the key of the chat that `raw` names, or "" where it says nothing reliable (see the module's text)."""
    address = jid.parse(raw)
    if address is None or address.server is Server.LID or (owner is not None and address.key == owner.key):
        return ""
    if address.server is Server.PHONE and "@" not in str(raw):
        return ""
    return address.key


def _from_me(value: object) -> int:
    return int(value) if isinstance(value, bool) else ANYBODY


def _votes(raw: object) -> list[Json]:
    votes = [vote for vote in wire.items(raw) if isinstance(vote, dict) and isinstance(vote.get("name"), str)]
    voters = [[v for v in wire.items(vote.get("voters")) if isinstance(v, str)] for vote in votes]
    found = [{"name": vote["name"], "voters": sorted(who)} for vote, who in zip(votes, voters, strict=True)]
    return sorted(found, key=lambda vote: json.dumps(vote, sort_keys=True))
