"""Parses message records: the items of `messages.upsert`, `messages.set` and `send.message` events.

Records of Evolution's database, which `findMessages` returns, have the same structure (see `stored_records`).
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from conversations.evolution import coerce, jid, stored_records
from conversations.evolution.coerce import Json, UnknownShapeError
from conversations.evolution.content import Content, parse_content
from conversations.evolution.context import parse_context
from conversations.evolution.envelope import Envelope, history_clock, live_clock, sent_order
from conversations.evolution.facts import (
    ContactState,
    ConversationState,
    Fact,
    InstanceState,
    MessageCopy,
    MessageUpdate,
    SamePerson,
)
from conversations.evolution.jid import Address, AddressKind
from conversations.evolution.updates import UpdateContext, parse_call_edit, parse_protocol_message
from conversations.evolution.votes import parse_poll_results, parse_reaction, parse_vote

MAX_SUBJECT_LENGTH = 128  # maximum length of `MessageUpdate.subject`
OWN_NAME = "Você"  # Evolution's placeholder for the instance's own name

# Fields of a message key that may hold another address of the contact or participant. In a direct chat, `senderPn` and
# `senderLid` hold the contact's addresses only if the message is inbound.
_CHAT_ALIASES = ("remoteJidAlt",)
_INBOUND_CHAT_ALIASES = ("remoteJidAlt", "senderPn", "senderLid")
_PARTICIPANT_ALIASES = ("participantAlt", "participantPn", "participantLid")


@dataclass(frozen=True)
class MessageKey:
    """The parsed `key` of a message record.

    Attributes:
        chat: the chat's address; in a direct chat, the contact's phone number if the key has one.
        key_id: WhatsApp's id of the chat message.
        from_me: whether the message is outbound.
        sender: the sender's address; None if the message is outbound or the key has no sender.
        aliases: pairs of addresses in the key; both addresses of a pair belong to one person.
        is_view_once: whether the content may be seen once only, on the phone.
    """

    chat: Address
    key_id: str
    from_me: bool
    sender: Address | None
    aliases: tuple[SamePerson, ...]
    is_view_once: bool = False


def parse_key(raw: object, owner: Address | None) -> MessageKey:
    """Parse the `key` of a message record.

    Args:
        raw: the JSON value of `key`.
        owner: the instance's own address, if known.

    Raises:
        UnknownShapeError: the key has no id or no address.
    """
    key = coerce.require_object(raw, "the message key")
    key_id, chat, from_me = coerce.key_id(key.get("id")), jid.parse(key.get("remoteJid")), key.get("fromMe") is True
    is_view_once = key.get("isViewOnce") is True
    if not key_id:
        raise UnknownShapeError("the message key has no id of a usable length")
    if chat is None:
        raise UnknownShapeError("the message key has no address")
    if chat.is_person:
        chat, aliases = _resolve_person(chat, key, _CHAT_ALIASES if from_me else _INBOUND_CHAT_ALIASES, owner)
        return MessageKey(chat, key_id, from_me, None if from_me else chat, aliases, is_view_once)
    sender, aliases = jid.parse(key.get("participant")), ()
    if sender is not None and sender.is_person:
        sender, aliases = _resolve_person(sender, key, _PARTICIPANT_ALIASES, owner)
    return MessageKey(chat, key_id, from_me, None if from_me else sender, aliases, is_view_once)


def _resolve_person(
    address: Address, key: Json, alias_fields: tuple[str, ...], owner: Address | None
) -> tuple[Address, tuple[SamePerson, ...]]:
    """Return a person's address (a phone number if the key has one) and pairs of addresses of this person."""
    others = [other for name in alias_fields if (other := jid.parse(key.get(name))) and other.is_person]
    # Some Evolution versions write the instance's own address into alias fields, but the instance's address is never an
    # alias of a contact.
    others = [other for other in others if owner is None or owner.key not in (other.key, address.key)]
    aliases = tuple(SamePerson(address, other) for other in others if other.kind is not address.kind)
    phones = [one for one in (address, *others) if one.kind is AddressKind.PHONE]
    return (phones[0] if phones else address), aliases


def parse_record(raw: object, envelope: Envelope, *, is_history: bool = False) -> Iterator[Fact]:
    """Yield the facts parsed from one message record.

    Raises:
        UnknownShapeError: `raw` is not a message record.
    """
    record = coerce.require_object(raw, "the message record")
    if _has_no_user(record.get("key")):
        return  # Evolution accepts a send to "abc", and stores it with the address `@s.whatsapp.net`
    key = parse_key(record.get("key"), envelope.owner)
    yield from key.aliases
    content = parse_content(record.get("message"), coerce.text(record.get("messageType")))
    if content.is_control:
        yield from _parse_control(content, key, record, envelope)
        return
    if not content.key and not record.get("messageType"):
        return  # the record is a stub: a notice in a group, or a message that Evolution was unable to decrypt
    copy = _message_copy(record, key, content, envelope, is_history=is_history)
    ms = coerce.to_ms(copy.timestamp)
    if stored_records.is_edited(record) and copy.text:
        # The text before the edit is unknown. The copy leaves it empty, until a copy from before the edit arrives.
        yield MessageUpdate(copy.key_id, "edit", ms, {"text": copy.text}, key.chat.key, int(key.from_me))
        copy = replace(copy, text="")
    yield copy
    album_id = coerce.key_id(copy.details.get("album_id"))
    if album_id and len(copy.key_id) <= MAX_SUBJECT_LENGTH:
        yield MessageUpdate(album_id, "album", 0, {}, key.chat.key, int(key.from_me), copy.key_id)
    if stored_records.is_deleted(record, is_history=is_history):
        yield MessageUpdate(copy.key_id, "delete", 0, {}, key.chat.key, int(key.from_me))
    yield from _sender_name(copy, envelope)
    if not is_history:
        yield ConversationState(key.chat, {"is_deleted": False}, live_clock(envelope))
        if envelope.owner:
            yield InstanceState({"owner_jid": envelope.owner.jid}, live_clock(envelope))
    yield from parse_poll_results(record.get("pollUpdates"), copy.key_id, key.chat.key, ms, envelope)


def _has_no_user(key: object) -> bool:
    address = key.get("remoteJid") if isinstance(key, dict) else None
    return isinstance(address, str) and address.strip().startswith("@")


def _parse_control(content: Content, key: MessageKey, record: Json, envelope: Envelope) -> Iterator[Fact]:
    ms = _message_ms(record, envelope)
    body = content.fields
    context = UpdateContext(
        key.chat.key, int(key.from_me), key.sender, ms, received_ms=envelope.received_ms, is_estimated=False
    )
    author = None if key.from_me else key.sender or key.chat
    if content.key == "reactionMessage":
        yield from parse_reaction(body, key.chat, author, ms)
    elif content.key == "pollUpdateMessage":
        yield from parse_vote(body, record.get("pollUpdates"), key.chat, author, ms)
    elif content.key == "protocolMessage":
        yield from parse_protocol_message(body, context)
    elif content.key == "scheduledCallEditMessage":
        yield from parse_call_edit(body, context)


def _message_ms(record: Json, envelope: Envelope) -> int:
    """Return the time of the chat message in ms since the epoch; the arrival if the record states no possible time."""
    ms = envelope.stated_ms(record.get("messageTimestamp"))
    return envelope.arrival_ms if ms is None else ms


def _message_copy(
    record: Json, key: MessageKey, content: Content, envelope: Envelope, *, is_history: bool
) -> MessageCopy:
    context = parse_context(record, content, key.chat)
    ms = _message_ms(record, envelope)
    push_name = coerce.text(record.get("pushName"), 255)
    shown: dict[str, Any] = {
        "sender_name": "" if push_name == OWN_NAME else push_name,
        "source": _source(record.get("source")),
        "kind": content.kind,
        "text": content.text,
        "media": content.media,
        "details": {**content.details, **context.details, **({"view_once": True} if key.is_view_once else {})},
        "quoted_key_id": context.quoted_key_id,
        "quoted_sender": context.quoted_sender,
        "quoted_text": context.quoted_text,
    }
    return MessageCopy(
        chat=key.chat,
        key_id=key.key_id,
        from_me=key.from_me,
        timestamp=coerce.from_ms(ms),
        status=stored_records.highest_status(record, "PENDING" if key.from_me else "DELIVERY_ACK"),
        sender=key.sender,
        sent_order=0 if is_history else sent_order(envelope),
        is_history=is_history,
        from_device=key.from_me and envelope.event != "send.message",
        # An edited copy sorts just after the original with the same timestamp.
        precedence=precedence(
            {**shown, "sender": key.sender and key.sender.key},
            ms + stored_records.is_edited(record),
            is_empty=not content.key,
        ),
        **shown,
    )


def precedence(shown: Json, ms: int, *, is_empty: bool = False) -> str:
    """Return the sort key of one copy of a chat message; users see the copy with the smallest sort key.

    Copies without content (not decrypted yet) sort last. Copies with content sort by timestamp, because Evolution gives
    late copies a new timestamp. Of copies with equal timestamps, the copy with the most fields sorts first. A digest of
    the fields breaks ties, so that different copies never have equal sort keys.

    Args:
        shown: the fields of the copy that users see.
        ms: the timestamp of this copy of the chat message, in milliseconds since the epoch.
        is_empty: whether the copy has no content.
    """
    values = [*shown.values(), *shown.get("media", {}).values(), *shown.get("details", {}).values()]
    filled = min(sum(value not in ("", None, {}, []) for value in values), 99)
    digest = hashlib.sha256(coerce.canonical_json(shown).encode()).hexdigest()
    return f"{int(is_empty)}{ms:014d}{99 - filled:02d}{digest[:16]}"


def _sender_name(copy: MessageCopy, envelope: Envelope) -> Iterator[Fact]:
    """Yield the sender's name; a name from a history import gets the history clock, because it may be outdated."""
    if copy.sender and copy.sender.is_person and (name := usable_name(copy.sender_name)):
        clock = history_clock(envelope) if copy.is_history else live_clock(envelope)
        yield ContactState(copy.sender, {"name": name}, clock)


def usable_name(value: object) -> str:
    """Return a name to show; "" if the name is missing, only digits, or Evolution's placeholder `OWN_NAME`."""
    name = coerce.text(value, 255).strip()
    return "" if name == OWN_NAME or name.lstrip("+").isdecimal() else name


def _source(value: object) -> str:
    source = coerce.text(value, 16)
    return "" if source == "unknown" else source
