"""Message records (`messages.upsert`, `messages.set`, `send.message`): one record → the facts it holds."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from conversations.evolution import coerce, content, jid
from conversations.evolution.coerce import Json, UnknownShapeError
from conversations.evolution.envelope import Envelope
from conversations.evolution.facts import ContactState, ConversationState, Fact, InstanceState, MessageCopy, SamePerson
from conversations.evolution.jid import Address, Server
from conversations.evolution.status import status_of
from conversations.evolution.updates import UpdateContext, protocol_update
from conversations.evolution.votes import counted_votes, reaction, vote

# What a message says of where it comes from and of whom it speaks; `ctwa…`, of the advert that was clicked, too.
CONTEXT = frozenset({"mentionedJid", "isForwarded", "forwardingScore", "externalAdReply", "expiration"})
YOU = "Você"  # what Evolution puts for our own name

# Where the other address of the same person may stand. The sender's are the contact's only when we are not the sender.
_CHAT_ALIASES = ("remoteJidAlt",)
_INBOUND_CHAT_ALIASES = ("remoteJidAlt", "senderPn", "senderLid")
_PARTICIPANT_ALIASES = ("participantAlt", "participantPn", "participantLid")


@dataclass(frozen=True)
class Key:
    """A message's key, read: where it is, who wrote it, and which addresses are one person's."""

    chat: Address
    key_id: str
    from_me: bool
    sender: Address | None
    aliases: tuple[SamePerson, ...]


def key_of(raw: object, owner: Address | None) -> Key:
    """Read a message key.

    Raises:
        UnknownShapeError: it has no id or no address.
    """
    key = coerce.require_object(raw, "the message key")
    key_id, chat, from_me = coerce.key_id(key.get("id")), jid.parse(key.get("remoteJid")), key.get("fromMe") is True
    if not key_id:
        raise UnknownShapeError("the message key has no id of a usable length")
    if chat is None:
        raise UnknownShapeError("the message key has no address")
    if chat.is_person:
        chat, aliases = _person(chat, key, _CHAT_ALIASES if from_me else _INBOUND_CHAT_ALIASES, owner)
        return Key(chat, key_id, from_me, None if from_me else chat, aliases)
    sender, aliases = jid.parse(key.get("participant")), ()
    if sender is not None and sender.is_person:
        sender, aliases = _person(sender, key, _PARTICIPANT_ALIASES, owner)
    return Key(chat, key_id, from_me, None if from_me else sender, aliases)


def _person(
    address: Address, key: Json, names: tuple[str, ...], owner: Address | None
) -> tuple[Address, tuple[SamePerson, ...]]:
    """Return the person's phone address where it is known, and what that says of the LID."""
    others = [other for name in names if (other := jid.parse(key.get(name))) and other.is_person]
    # Our own address beside somebody else's is never an alias, whatever a version writes there.
    others = [other for other in others if owner is None or owner.key not in (other.key, address.key)]
    aliases = tuple(SamePerson(address, other) for other in others if other.server is not address.server)
    phones = [one for one in (address, *others) if one.server is Server.PHONE]
    return (phones[0] if phones else address), aliases


def read(raw: object, envelope: Envelope, *, is_history: bool = False) -> Iterator[Fact]:
    """Yield what one message record says.

    Raises:
        UnknownShapeError: it is no message record.
    """
    record = coerce.require_object(raw, "the message record")
    key = key_of(record.get("key"), envelope.owner)
    yield from key.aliases
    bubble = content.read(record.get("message"), coerce.text(record.get("messageType")))
    if bubble.is_control:
        yield from _signal(bubble, key, record, envelope)
        return
    if not bubble.key and not record.get("messageType"):
        return  # a stub: a notice of the group, or a message that could not be decrypted
    seen = _seen(record, key, bubble, envelope, is_history=is_history)
    yield seen
    yield from _names(seen, envelope)
    if not is_history:
        yield ConversationState(key.chat, {"is_deleted": False}, f"1:{envelope.clock}")
        if envelope.owner:
            yield InstanceState({"owner_jid": envelope.owner.jid}, f"1:{envelope.clock}")
    yield from counted_votes(
        record.get("pollUpdates"), seen.key_id, key.chat.key, coerce.ms_of(seen.timestamp), envelope
    )


def _signal(bubble: content.Content, key: Key, record: Json, envelope: Envelope) -> Iterator[Fact]:
    at = coerce.milliseconds(record.get("messageTimestamp")) or coerce.clock_ms(envelope.clock)
    body = bubble.body if isinstance(bubble.body, dict) else {}
    author = None if key.from_me else key.sender or key.chat
    if bubble.key == "reactionMessage":
        yield from reaction(body, key.chat, author, at)
    elif bubble.key == "pollUpdateMessage":
        yield from vote(body, record.get("pollUpdates"), key.chat, author, at)
    elif bubble.key == "protocolMessage":
        yield from protocol_update(body, UpdateContext(key.chat.key, int(key.from_me), key.sender, at))


def _seen(record: Json, key: Key, bubble: content.Content, envelope: Envelope, *, is_history: bool) -> MessageCopy:
    context = _context(record, bubble)
    ms = coerce.milliseconds(record.get("messageTimestamp"))
    ms = coerce.clock_ms(envelope.clock) if ms is None else ms
    push_name = coerce.text(record.get("pushName"), 255)
    shown: dict[str, Any] = {
        "sender_name": "" if push_name == YOU else push_name,
        "source": _source(record.get("source")),
        "kind": bubble.kind,
        "text": bubble.text,
        "media": bubble.media,
        "details": {**bubble.details, **_context_details(context)},
        "quoted_key_id": coerce.key_id(context.get("stanzaId")) or _quoted_id(record),
        "quoted_sender": coerce.text(context.get("participant"), 128),
        "quoted_text": content.quoted_text(context.get("quotedMessage")),
    }
    return MessageCopy(
        chat=key.chat,
        key_id=key.key_id,
        from_me=key.from_me,
        timestamp=coerce.from_ms(ms),
        status=status_of(record.get("status"), default="PENDING" if key.from_me else "DELIVERY_ACK") or 0,
        sender=key.sender,
        is_history=is_history,
        from_device=key.from_me and envelope.event != "send.message",
        precedence=precedence({**shown, "sender": key.sender and key.sender.key}, ms, is_empty=not bubble.key),
        **shown,
    )


def precedence(shown: Json, ms: int, *, is_empty: bool = False) -> str:
    """Rank one copy of a message among all copies of it; the least is shown.

    A copy with content comes before one without (a message not yet decrypted), then the earliest (Evolution stamps
    late copies anew), then the fullest; a digest decides the rest, so that no two different copies are equal.
    """
    values = [*shown.values(), *shown.get("media", {}).values(), *shown.get("details", {}).values()]
    fullness = min(sum(value not in ("", None, {}, []) for value in values), 99)
    digest = hashlib.sha256(coerce.canonical_json(shown).encode()).hexdigest()
    return f"{int(is_empty)}{ms:014d}{99 - fullness:02d}{digest[:16]}"


def _names(seen: MessageCopy, envelope: Envelope) -> Iterator[Fact]:
    """The sender's own name; in a history import it may be an old one, so it counts less than any live one."""
    if seen.sender and seen.sender.is_person and (name := usable_name(seen.sender_name)):
        yield ContactState(seen.sender, {"name": name}, f"{int(not seen.is_history)}:{envelope.clock}")


def usable_name(value: object) -> str:
    """Return a name worth showing; "" for none, for mere digits, and for Evolution's word for ourselves."""
    name = coerce.text(value, 255).strip()
    return "" if name == YOU or name.lstrip("+").isdecimal() else name


def _context(record: Json, bubble: content.Content) -> Json:
    """Evolution copies the content's context to the record; where it did not, it is in the content itself."""
    inside = bubble.body.get("contextInfo") if isinstance(bubble.body, dict) else None
    beside = record.get("message")
    beside = beside.get("contextInfo") if isinstance(beside, dict) else None
    return next((c for c in (record.get("contextInfo"), inside, beside) if isinstance(c, dict)), {})


def _context_details(context: Json) -> Json:
    kept = {
        name: value
        for name, value in context.items()
        if (name in CONTEXT or name.startswith("ctwa")) and value not in (None, [], {}, 0, False, "")
    }
    advert = kept.get("externalAdReply")
    if isinstance(advert, dict):
        texts = {name: value for name, value in advert.items() if isinstance(value, str | bool)}
        kept["externalAdReply"] = {name: value for name, value in texts.items() if name != "thumbnail"}
    return kept


def _quoted_id(record: Json) -> str:
    """The Evolution channel says what is quoted in its own way."""
    message = record.get("message")
    quoted = message.get("quoted") if isinstance(message, dict) else None
    quoted = quoted.get("key", quoted) if isinstance(quoted, dict) else None
    return coerce.key_id(quoted.get("id")) if isinstance(quoted, dict) else ""


def _source(value: object) -> str:
    source = coerce.text(value, 16)
    return "" if source == "unknown" else source
