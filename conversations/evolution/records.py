"""Parses message records: the items of `messages.upsert`, `messages.set` and `send.message` events.

Records of Evolution's database, which `findMessages` returns, have the same structure (see `stored_records`).
"""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from conversations.evolution import coerce, stored_records
from conversations.evolution.coerce import Json
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
    OwnIdentity,
)
from conversations.evolution.keys import MessageKey, parse_key
from conversations.evolution.marking import mark as _
from conversations.evolution.names import usable_name
from conversations.evolution.updates import (
    UpdateContext,
    is_unique_key_id,
    parse_call_edit,
    parse_protocol_message,
)
from conversations.evolution.votes import parse_poll_results, parse_reaction, parse_vote

MAX_SUBJECT_LENGTH = 128  # maximum length of `MessageUpdate.subject`


def parse_record(raw: object, envelope: Envelope, *, is_history: bool = False) -> Iterator[Fact]:
    """Yield the facts parsed from one message record.

    Raises:
        UnknownShapeError: `raw` is not a message record.
    """
    record = coerce.require_object(raw, _("the message record"))
    if _has_no_user(record.get("key")):
        return  # Evolution accepts a send to "abc", and stores it with the address `@s.whatsapp.net`
    ms = _message_ms(record, envelope)
    key = parse_key(record.get("key"), envelope, ms)
    yield from key.identities
    content = parse_content(record.get("message"), coerce.text(record.get("messageType")))
    if content.is_control:
        yield from _parse_control(content, key, record, envelope, ms)
        return
    if not content.key and not record.get("messageType"):
        return  # the record is a stub: a notice in a group, or a message that Evolution was unable to decrypt
    is_edited = stored_records.is_edited(record)
    copy = _message_copy(record, key, content, envelope, ms, is_edited=is_edited, is_history=is_history)
    if is_edited and copy.text:
        # The text before the edit is unknown. The copy leaves it empty, until a copy from before the edit arrives.
        yield MessageUpdate(copy.key_id, "edit", ms, {"text": copy.text}, key.chat.key, int(key.from_me))
        copy = replace(copy, text="")
    yield copy
    album_id = coerce.key_id(copy.details.get("album_id"))
    if album_id and len(copy.key_id) <= MAX_SUBJECT_LENGTH:
        # The time is negative, because the greater rank wins, and that of the earliest copy counts.
        yield MessageUpdate(album_id, "album", -ms, {}, key.chat.key, int(key.from_me), copy.key_id)
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


def _parse_control(content: Content, key: MessageKey, record: Json, envelope: Envelope, ms: int) -> Iterator[Fact]:
    body = content.fields
    context = UpdateContext(
        key.chat.key, int(key.from_me), key.sender, ms, received_ms=envelope.received_ms, is_estimated=False
    )
    sender = key.sender or key.chat
    author = None if key.from_me or envelope.is_owner(sender) else sender
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


def _message_copy(  # noqa: PLR0913 - each argument is a part of one record
    record: Json, key: MessageKey, content: Content, envelope: Envelope, ms: int, *, is_edited: bool, is_history: bool
) -> MessageCopy:
    context = parse_context(record, content, key.chat)
    shown: dict[str, Any] = {
        "sender_name": _author_name(record, key),
        "source": _source(record.get("source")),
        "kind": "supplement" if context.is_supplement else content.kind,
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
            ms + is_edited,
            missing=int(not content.key) + int(content.kind == "unknown"),
        ),
        **shown,
    )


def precedence(shown: Json, ms: int, *, missing: int = 0) -> str:
    """Return the sort key of one copy of a chat message; users see the copy with the smallest sort key.

    Copies without content (not decrypted yet) sort last, after copies with content that cannot be read. Other copies
    sort by timestamp, because Evolution gives late copies a new timestamp. Of copies with equal timestamps, the copy
    with the most fields sorts first. A digest of the fields breaks ties, so that different copies never have equal sort
    keys.

    Args:
        shown: the fields of the copy that users see.
        ms: the timestamp of this copy of the chat message, in milliseconds since the epoch.
        missing: 0 if the copy's content could be read, more if less is known of it.
    """
    values = [*shown.values(), *shown.get("media", {}).values(), *shown.get("details", {}).values()]
    filled = min(len([value for value in values if value not in ("", None, {}, [])]), 99)
    digest = hashlib.sha256(coerce.canonical_json(shown).encode()).hexdigest()
    return f"{missing}{ms:014d}{99 - filled:02d}{digest[:16]}"


def _author_name(record: Json, key: MessageKey) -> str:
    """Return the name of a message's author.

    It is "" for what the instance has sent with the Cloud API: there, `pushName` is the name of the customer.
    """
    is_customers = key.from_me and is_unique_key_id(key.key_id)
    return "" if is_customers else usable_name(record.get("pushName"))


def _sender_name(copy: MessageCopy, envelope: Envelope) -> Iterator[Fact]:
    """Yield the sender's name; a name from a history import gets the history clock, because it may be outdated."""
    if not copy.sender_name:
        return
    if copy.from_me:
        yield OwnIdentity(name=copy.sender_name)
    elif copy.sender and copy.sender.is_person:
        clock = history_clock(envelope) if copy.is_history else live_clock(envelope)
        yield ContactState(copy.sender, {"push_name": copy.sender_name}, clock)


def _source(value: object) -> str:
    source = coerce.text(value, 16)
    return "" if source == "unknown" else source
