"""Parses updates of chat messages that were sent earlier: delivery statuses, edits and deletions.

The field `chat` of an update limits which chat messages the update can match. A group's JID and the phone number of a
contact are reliable. A LID, digits without a host and the instance's own number are not reliable, because Evolution
versions write these addresses differently, and because an edit is written from its author's point of view. An update
without a reliable address has an empty `chat`, and matches chat messages by key id in direct conversations only.

The field `from_me` of an update, and the field `subject` of an edit, identify the author of the chat message, because
only the author can edit a chat message. In a group, an admin can delete messages of others too.

The key inside an edit or a revocation (`protocolMessage.key`) is written by whoever edits, who may write anything. It
is trusted as little as genuine edits allow; see docs/decisions/convergence.md.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from conversations.evolution import clocks, coerce, content, jid, keys
from conversations.evolution.coerce import Json, UnknownShapeError
from conversations.evolution.envelope import Envelope
from conversations.evolution.facts import Fact, MessageUpdate, SamePerson
from conversations.evolution.jid import Address, AddressKind
from conversations.evolution.marking import mark as _
from conversations.evolution.message_types import MessageClass
from conversations.evolution.status import parse_status
from conversations.evolution.votes import parse_poll_results

EDIT_TYPES = ("14", "MESSAGE_EDIT")
REVOKE_TYPES = ("0", "REVOKE")
CANCEL_TYPES = (1, "CANCEL")
# Values of `MessageUpdate.from_me`: the direction of the chat messages that an update can match.
INBOUND, OUTBOUND, EITHER = 0, 1, -1
# The chats in which admins can delete messages of others.
MODERATED = (AddressKind.GROUP, AddressKind.NEWSLETTER)
_MODERATED_PREFIXES = tuple(f"{kind}:" for kind in MODERATED)
BROADCASTS = (AddressKind.BROADCAST, AddressKind.STATUS)
# Prefix of the message ids (key ids) of the Cloud API. Status updates of the Cloud API concern outbound messages, but
# Evolution writes `fromMe: false` into such updates, and sometimes another number of the customer.
CLOUD_KEY_PREFIX = "wamid."


@dataclass(frozen=True)
class UpdateContext:
    """The origin of an edit or revocation.

    Attributes:
        chat: the key of the chat's address, or "" if the address is not reliable.
        from_me: the direction of the chat messages that the edit or revocation can match.
        author: the person who sent the edit or revocation, if known.
        fallback_ms: the time in milliseconds since the epoch, used if an edit states no possible time.
        is_estimated: whether `fallback_ms` is estimated from the clock of the Evolution host.
        received_ms: when this server received the edit, in milliseconds since the epoch; None if unknown.
    """

    chat: str = ""
    from_me: int = EITHER
    author: Address | None = None
    fallback_ms: int = 0
    is_estimated: bool = True
    received_ms: int | None = None

    @property
    def author_key(self) -> str:
        """The address key of the author if it is known and a person, otherwise ""."""
        return self.author.key if self.author is not None and self.author.is_person else ""


def parse_update(raw: object, envelope: Envelope) -> Iterator[Fact]:
    """Yield the facts parsed from one item of `messages.update`: a delivery status, the votes of a poll, or an edit.

    Raises:
        UnknownShapeError: the item has no key id, or its poll has too many voters.
    """
    update = coerce.require_object(raw, _("the update"))
    key = update["key"] if isinstance(update.get("key"), dict) else update
    key_id = coerce.key_id(update.get("keyId")) or coerce.key_id(key.get("id"))
    if not key_id:
        raise UnknownShapeError(_("the update names no message"))
    ms, from_me = coerce.clock_ms(envelope.clock), _from_me(key.get("fromMe"))
    chat, identities = _parse_chat(key, envelope, ms)
    yield from identities
    if is_unique_key_id(key_id):
        chat, from_me = "", EITHER
    rank = parse_status(update.get("status"))
    if rank is not None:
        yield MessageUpdate(key_id, "status", rank, {}, chat, from_me)
    author = jid.parse(key.get("participant")) if chat.startswith(_MODERATED_PREFIXES) and from_me != OUTBOUND else None
    context = UpdateContext(chat, from_me, author, fallback_ms=ms, received_ms=envelope.received_ms)
    yield from _parse_edit_in_update(update.get("message"), key_id, context)
    # Last, because too many voters raise an error.
    yield from parse_poll_results(update.get("pollUpdates"), key_id, chat, ms, envelope)


def _parse_edit_in_update(message: object, key_id: str, context: UpdateContext) -> Iterator[Fact]:
    if not isinstance(message, dict):
        return
    parsed = content.parse_content(message)
    if parsed.key == "protocolMessage":
        yield from parse_protocol_message(parsed.fields, context)
    elif "editedMessage" in message:
        yield from _edit(key_id, parsed, context)


def parse_edit(raw: object, envelope: Envelope) -> Iterator[Fact]:
    """Yield the facts parsed from `messages.edited`.

    The `key` in a `messages.edited` event is written from the author's point of view, so `fromMe` is always true,
    except if an admin deletes a message of another member of a group. A key with the address of a broadcast is ignored:
    `messages.update` and `messages.delete` report what happens to messages of a broadcast, with the real chat.
    """
    body = coerce.require_object(raw, _("the protocol message"))
    key = body["key"] if isinstance(body.get("key"), dict) else {}
    address = jid.parse(key.get("remoteJid"))
    if address is not None and address.kind in BROADCASTS:
        return
    context = UpdateContext(fallback_ms=coerce.clock_ms(envelope.clock), received_ms=envelope.received_ms)
    if address is None:
        yield from parse_protocol_message(body, context)
    elif envelope.is_own(address) or (address.kind is AddressKind.LID and str(body.get("type")) in REVOKE_TYPES):
        # Either a contact edited a message to this instance, or the instance edited a note to itself. A LID may be the
        # contact's, too. An edit under an unknown LID may be an outbound one in any direct chat. For a revocation, this
        # is not assumed, because `messages.delete` follows with the phone number.
        yield from parse_protocol_message(body, replace(context, from_me=INBOUND))
        yield from parse_protocol_message(body, replace(context, chat=address.key, from_me=OUTBOUND))
    elif address.is_person:
        # If the key has a phone number, the number is the contact's, and the instance edited an outbound message. If
        # the key has a LID, the LID may be the contact's or the instance's own, so the message's direction is unknown.
        # A key with `fromMe: false` is not from the author's point of view; then only inbound messages are changed.
        is_outbound = address.kind is AddressKind.PHONE and key.get("fromMe") is not False
        from_me = OUTBOUND if is_outbound else EITHER
        chat, identities = _parse_chat({**key, "remoteJid": address.jid, "fromMe": True}, envelope, context.fallback_ms)
        yield from identities
        yield from parse_protocol_message(body, replace(context, chat=chat, from_me=from_me))
    else:
        author, identities = keys.parse_participant(key, envelope, context.fallback_ms)
        yield from identities
        from_me = EITHER
        if author is not None and envelope.is_owner(author):
            author, from_me = None, OUTBOUND
        yield from parse_protocol_message(body, replace(context, chat=address.key, from_me=from_me, author=author))


def parse_sent_edit(raw: object, envelope: Envelope) -> Iterator[Fact]:
    """Yield the facts parsed from `send.message.update`: an outbound message was edited through Evolution's API."""
    body = coerce.require_object(raw, _("the protocol message"))
    key = body["key"] if isinstance(body.get("key"), dict) else {}
    ms = coerce.clock_ms(envelope.clock)
    chat, identities = _parse_chat({**key, "fromMe": True}, envelope, ms)
    yield from identities
    context = UpdateContext(chat, OUTBOUND, fallback_ms=ms, received_ms=envelope.received_ms)
    yield from parse_protocol_message(body, context)


def parse_deletion(raw: object, envelope: Envelope) -> Iterator[Fact]:
    """Yield the facts parsed from `messages.delete`, whose data is a message key or contains one in `key`.

    The fields `participant` and `fromMe` describe the person who deletes. In a direct chat, the other person can delete
    their own messages only.

    Raises:
        UnknownShapeError: the event has no key id or no address.
    """
    body = coerce.require_object(raw, _("the deletion"))
    key = body["key"] if isinstance(body.get("key"), dict) else body
    _chat, identities = _parse_chat(key, envelope, coerce.clock_ms(envelope.clock))
    addresses = [a for name in ("remoteJid", "remoteJidAlt", "senderPn") if (a := jid.parse(key.get(name)))]
    others = [a for a in addresses if not envelope.is_own(a)]
    addresses = others or addresses  # a note of the instance to itself has only the instance's own address
    if not coerce.key_id(key.get("id")) or not addresses:
        raise UnknownShapeError(_("the deletion names no message"))
    chat = next((a for a in addresses if a.kind is AddressKind.PHONE and addresses[0].is_person), addresses[0])
    if key.get("fromMe") is not True:
        chat = keys.direct_chat(chat, jid.parse(key.get("participant")), envelope)
    yield from identities
    from_me = INBOUND if key.get("fromMe") is False and chat.kind not in MODERATED else EITHER
    yield MessageUpdate(key["id"], "delete", 0, {}, chat.key, from_me)


def parse_protocol_message(body: Json, context: UpdateContext) -> Iterator[Fact]:
    """Yield the facts parsed from a `protocolMessage` that is an edit or a revocation; other types are ignored.

    A revocation that comes with new content is never genuine, and is ignored.
    """
    key, kind = body.get("key"), str(body.get("type", ""))
    key_id = coerce.key_id(key.get("id")) if isinstance(key, dict) else ""
    if not isinstance(key, dict) or not key_id:
        return
    is_revocation = kind in REVOKE_TYPES
    narrowed = _narrow(context, key, is_revocation=is_revocation)
    if narrowed is None:
        return
    if is_revocation and not body.get("editedMessage"):
        yield MessageUpdate(key_id, "delete", 0, {}, narrowed.chat, narrowed.from_me)
    elif kind in EDIT_TYPES or not kind:
        edited_ms = clocks.stated_ms(body.get("timestampMs"), context.received_ms)
        yield from _edit(key_id, content.parse_content(body.get("editedMessage")), narrowed, edited_ms)


def _narrow(context: UpdateContext, key: Json, *, is_revocation: bool) -> UpdateContext | None:
    """Return the context with the direction of the messages that may be changed; None if there are none.

    Authors write `fromMe: true` into the keys of their own messages. So with `fromMe: false`, only an admin changes
    outbound messages.
    """
    if is_revocation and context.chat.startswith(_MODERATED_PREFIXES):
        return replace(context, from_me=EITHER)
    if key.get("fromMe") is not False:
        return context
    return None if context.from_me == OUTBOUND else replace(context, from_me=INBOUND)


def parse_call_edit(body: Json, context: UpdateContext) -> Iterator[Fact]:
    """Yield the fact of a `scheduledCallEditMessage`, which cancels a scheduled call."""
    key = body.get("key")
    key_id = coerce.key_id(key.get("id")) if isinstance(key, dict) else ""
    if key_id and body.get("editType") in CANCEL_TYPES:
        canceled = {"is_canceled": True}
        yield MessageUpdate(
            key_id, "details", context.fallback_ms, canceled, context.chat, context.from_me, context.author_key
        )


def _edit(
    key_id: str, new_content: content.Content, context: UpdateContext, edited_ms: int | None = None
) -> Iterator[Fact]:
    """Yield the facts of an edit: its text and its other details, each only if the new content has it.

    An edit without a text never blanks the text. An empty caption is a text, because a caption can be removed.
    """
    chat, from_me, author = context.chat, context.from_me, context.author_key
    ms = context.fallback_ms if edited_ms is None else edited_ms
    estimated = {"is_estimated": True} if edited_ms is None and context.is_estimated else {}
    is_caption = new_content.has_text and new_content.cls is MessageClass.MEDIA
    if new_content.text or is_caption:
        yield MessageUpdate(key_id, "edit", ms, {"text": new_content.text, **estimated}, chat, from_me, author)
    if new_content.details:
        yield MessageUpdate(key_id, "details", ms, {**new_content.details, **estimated}, chat, from_me, author)


def is_unique_key_id(key_id: str) -> bool:
    """Return whether an instance has at most one message with this key id, because the Cloud API chose the key id."""
    return key_id.startswith(CLOUD_KEY_PREFIX)


def _parse_chat(key: Json, envelope: Envelope, ms: int) -> tuple[str, tuple[SamePerson, ...]]:
    """Return the key of a chat's address, and the pair of addresses in a message key.

    The address key is "" if the address is not reliable (see the docstring of this module).
    """
    address = jid.parse(key.get("remoteJid"))
    if address is None:
        return "", ()
    if address.is_person:
        address, identities = keys.parse_person(address, key, envelope, ms)
    else:
        participant, identities = keys.parse_participant(key, envelope, ms)
        address = address if key.get("fromMe") is True else keys.direct_chat(address, participant, envelope)
    is_phone_without_host = address.kind is AddressKind.PHONE and "@" not in str(key.get("remoteJid"))
    is_reliable = not (address.kind is AddressKind.LID or envelope.is_own(address) or is_phone_without_host)
    return (address.key if is_reliable else ""), identities


def _from_me(value: object) -> int:
    return int(value) if isinstance(value, bool) else EITHER
