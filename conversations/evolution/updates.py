"""What is said of messages after they were sent: statuses, edits and deletions.

`chat` decides which messages an update can mean. A group, or a phone number that is not ours, is taken at its word. A
LID, bare digits or our own number say nothing about where the message is stored (versions differ, and an edit is
written from its author's side), so that only the key id counts there, among direct chats.

`from_me` and, for an edit, `subject` say who wrote the message: nobody edits another's.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from conversations.evolution import coerce, content, jid
from conversations.evolution.coerce import Json, UnknownShapeError
from conversations.evolution.envelope import Envelope
from conversations.evolution.facts import Fact, MessageUpdate
from conversations.evolution.jid import Address, Server
from conversations.evolution.status import status_of
from conversations.evolution.votes import counted_votes

EDIT = ("14", "MESSAGE_EDIT")
REVOKE = ("0", "REVOKE")
THEIRS, OURS, ANYBODY = 0, 1, -1
# The Cloud API's statuses are of our messages, and Evolution writes `fromMe: false` beside them.
CLOUD_KEY = "wamid."


@dataclass(frozen=True)
class UpdateContext:
    """Where an edit or a revocation was said, by whom, and when at the earliest."""

    chat: str = ""
    from_me: int = ANYBODY
    author: Address | None = None
    at: int = 0


def status(raw: object, envelope: Envelope) -> Iterator[Fact]:
    """Yield what one item of messages.update says: a status, the votes of a poll, or an edit."""
    update = coerce.require_object(raw, "the update")
    key = update["key"] if isinstance(update.get("key"), dict) else update
    key_id = coerce.key_id(update.get("keyId")) or coerce.key_id(key.get("id"))
    if not key_id:
        raise UnknownShapeError("the update names no message")
    chat, from_me = reliable_chat_key(key.get("remoteJid"), envelope.owner), _from_me(key.get("fromMe"))
    if key_id.startswith(CLOUD_KEY):
        from_me = ANYBODY
    rank = status_of(update.get("status"))
    if rank is not None:
        yield MessageUpdate(key_id, "status", rank, {}, chat, from_me)
    at = coerce.clock_ms(envelope.clock)
    yield from counted_votes(update.get("pollUpdates"), key_id, chat, at, envelope)
    message = update.get("message")
    if not isinstance(message, dict):
        return
    inner = content.unwrap(message)
    if isinstance(inner.get("protocolMessage"), dict):
        yield from protocol_update(inner["protocolMessage"], UpdateContext(chat, from_me, at=at))
    elif "editedMessage" in message:
        yield from _edit(key_id, content.read(inner), UpdateContext(chat, from_me, at=at))


def edited(raw: object, envelope: Envelope) -> Iterator[Fact]:
    """Yield what messages.edited says; its key is written from the editor's side, who calls the message his own."""
    body = coerce.require_object(raw, "the protocol message")
    key = body["key"] if isinstance(body.get("key"), dict) else {}
    address, at = jid.parse(key.get("remoteJid")), coerce.clock_ms(envelope.clock)
    if address is None:
        yield from protocol_update(body, UpdateContext(at=at))
    elif envelope.owner is not None and address.key == envelope.owner.key:
        # A contact edits what he wrote to us; or we edit a note to ourselves.
        yield from protocol_update(body, UpdateContext("", THEIRS, at=at))
        yield from protocol_update(body, UpdateContext(address.key, OURS, at=at))
    elif address.is_person:
        # Ours, from another device; or a contact's, where our own LID is what he calls us.
        from_me = OURS if address.server is Server.PHONE else ANYBODY
        yield from protocol_update(body, UpdateContext(reliable_chat_key(address.jid, envelope.owner), from_me, at=at))
    else:
        yield from protocol_update(body, UpdateContext(address.key, ANYBODY, jid.parse(key.get("participant")), at))


def sent_edit(raw: object, envelope: Envelope) -> Iterator[Fact]:
    """Yield what send.message.update says: an edit of ours, made through the API."""
    body = coerce.require_object(raw, "the protocol message")
    key = body["key"] if isinstance(body.get("key"), dict) else {}
    chat = reliable_chat_key(key.get("remoteJid"), envelope.owner)
    yield from protocol_update(body, UpdateContext(chat, OURS, at=coerce.clock_ms(envelope.clock)))


def deleted(raw: object, envelope: Envelope) -> Iterator[Fact]:
    """Yield what messages.delete says, in both its shapes. Participant and fromMe describe who deleted."""
    body = coerce.require_object(raw, "the deletion")
    key = body["key"] if isinstance(body.get("key"), dict) else body
    addresses = [a for name in ("remoteJid", "remoteJidAlt", "senderPn") if (a := jid.parse(key.get(name)))]
    others = [a for a in addresses if envelope.owner is None or a.key != envelope.owner.key]
    addresses = others or addresses  # a note to ourselves has no other
    if not coerce.key_id(key.get("id")) or not addresses:
        raise UnknownShapeError("the deletion names no message")
    chat = next((a for a in addresses if a.server is Server.PHONE and addresses[0].is_person), addresses[0])
    yield MessageUpdate(key["id"], "delete", 0, {}, chat.key)


def protocol_update(body: Json, said: UpdateContext) -> Iterator[Fact]:
    """Yield what a ProtocolMessage says: an edit or a revocation; its other types are between clients."""
    key, kind = body.get("key"), str(body.get("type", ""))
    key_id = coerce.key_id(key.get("id")) if isinstance(key, dict) else ""
    if not key_id:
        return
    if kind in REVOKE:
        # In a group its admins revoke anybody's.
        from_me = said.from_me if jid.is_person_key(said.chat) else ANYBODY
        yield MessageUpdate(key_id, "delete", 0, {}, said.chat, from_me)
    elif kind in EDIT or not kind:
        at = coerce.milliseconds(body.get("timestampMs"))
        yield from _edit(key_id, content.read(body.get("editedMessage")), said, at)


def _edit(key_id: str, edited_to: content.Content, said: UpdateContext, at: int | None = None) -> Iterator[Fact]:
    """An edit whose content cannot be read says nothing: the message stays as it was."""
    if edited_to.key:
        author = said.author.key if said.author is not None and said.author.is_person else ""
        value = {"text": edited_to.text}
        yield MessageUpdate(key_id, "edit", said.at if at is None else at, value, said.chat, said.from_me, author)


def reliable_chat_key(raw: object, owner: Address | None) -> str:
    """Return the key of the chat that `raw` names, or "" where it says nothing reliable (see the module's text)."""
    address = jid.parse(raw)
    if address is None or address.server is Server.LID or (owner is not None and address.key == owner.key):
        return ""
    if address.server is Server.PHONE and "@" not in str(raw):
        return ""
    return address.key


def _from_me(value: object) -> int:
    return int(value) if isinstance(value, bool) else ANYBODY
