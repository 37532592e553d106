"""Parses message keys: the chat, the direction and the sender of a message, and the pairs of addresses in the key.

WhatsApp knows a person by a phone number, by a LID, or by both. Evolution shows the second address of a person in a
field beside the first. `SamePerson` facts are built from these fields only, because WhatsApp's servers write them.
Names, texts, mentions, contact cards and quoted messages are chosen by their author, and prove nothing.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from conversations.evolution import coerce, jid
from conversations.evolution.coerce import Json, UnknownShapeError
from conversations.evolution.envelope import Envelope
from conversations.evolution.facts import Correspondent, OwnIdentity, SamePerson
from conversations.evolution.jid import Address, AddressKind
from conversations.evolution.marking import mark as _

IdentityFact = SamePerson | Correspondent | OwnIdentity

# Fields of a message key that may hold another address of the contact or participant. In a direct chat, `senderPn` and
# `senderLid` hold the contact's addresses only if the message is inbound.
_PREVIOUS = "previousRemoteJid"  # the address that WhatsApp sent, if Evolution replaced `remoteJid`
_CHAT_ALIASES = ("remoteJidAlt", _PREVIOUS)
_INBOUND_CHAT_ALIASES = (*_CHAT_ALIASES, "senderPn", "senderLid")
_PARTICIPANT_ALIASES = ("participantAlt", "participantPn", "participantLid")


@dataclass(frozen=True)
class MessageKey:
    """The parsed `key` of a message record.

    Attributes:
        chat: the chat's address; in a direct chat, the contact's phone number if the key has one.
        key_id: WhatsApp's id of the chat message.
        from_me: whether the message is outbound.
        sender: the sender's address; None if the message is outbound or the key has no sender.
        identities: what the key shows about the addresses in it.
        is_view_once: whether the content may be seen once only, on the phone.
    """

    chat: Address
    key_id: str
    from_me: bool
    sender: Address | None
    identities: tuple[IdentityFact, ...]
    is_view_once: bool = False


def parse_key(raw: object, envelope: Envelope, ms: int = 0) -> MessageKey:
    """Parse the `key` of a message record.

    Args:
        raw: the JSON value of `key`.
        envelope: the envelope of the event, which contains the instance's own addresses.
        ms: the time of the message in milliseconds since the epoch.

    Raises:
        UnknownShapeError: the key has no id or no address.
    """
    key = coerce.require_object(raw, _("the message key"))
    key_id, chat, from_me = coerce.key_id(key.get("id")), jid.parse(key.get("remoteJid")), key.get("fromMe") is True
    is_view_once = key.get("isViewOnce") is True
    if not key_id:
        raise UnknownShapeError(_("the message key has no id of a usable length"))
    if chat is None:
        raise UnknownShapeError(_("the message key has no address"))
    if chat.is_person:
        proof = _correspondent(chat, key, envelope)
        chat, identities = parse_person(chat, key, envelope, ms)
        return MessageKey(chat, key_id, from_me, None if from_me else chat, (*identities, *proof), is_view_once)
    if from_me:
        own = _own_participant(key, envelope) if chat.kind is AddressKind.GROUP else ()
        return MessageKey(chat, key_id, from_me, None, tuple(own), is_view_once)
    sender, identities = parse_participant(key, envelope, ms)
    chat = direct_chat(chat, sender, envelope)
    proof = _correspondent(jid.parse(key.get("participant")), key, envelope)
    return MessageKey(chat, key_id, from_me, sender, (*identities, *proof), is_view_once)


def direct_chat(chat: Address, sender: Address | None, envelope: Envelope) -> Address:
    """Return the chat in which an inbound message is shown: a broadcast list's message is in the sender's chat."""
    is_list = chat.kind is AddressKind.BROADCAST
    return sender if is_list and sender is not None and sender.is_person and not envelope.is_own(sender) else chat


def parse_person(address: Address, key: Json, envelope: Envelope, ms: int) -> tuple[Address, tuple[SamePerson, ...]]:
    """Return the contact's address in the key of a direct chat, and the pair of addresses in the key.

    Args:
        address: the key's `remoteJid`.
        key: the message key.
        envelope: the envelope of the event, which contains the instance's own addresses.
        ms: the time of the event in milliseconds since the epoch.

    Returns:
        The phone number if the key has one, otherwise `address`; and the pair, if the key has one.
    """
    from_me = key.get("fromMe") is True
    is_certain = not from_me or address.kind is AddressKind.LID or _parse_lid(key.get(_PREVIOUS)) is not None
    names = _CHAT_ALIASES if from_me else _INBOUND_CHAT_ALIASES
    return _resolve(address, key, names, envelope, ms, is_certain=is_certain)


def parse_participant(key: Json, envelope: Envelope, ms: int) -> tuple[Address | None, tuple[SamePerson, ...]]:
    """Return the address of the participant in a message key, and the pair of addresses of the participant."""
    participant = jid.parse(key.get("participant"))
    if participant is None or not participant.is_person:
        return participant, ()
    return _resolve(participant, key, _PARTICIPANT_ALIASES, envelope, ms, is_certain=True)


def same_person(texts: Iterable[object], envelope: Envelope) -> Iterator[IdentityFact]:
    """Yield the pair of addresses in fields that all hold addresses of one person, who may be the instance itself."""
    addresses = [address for text in texts if (address := jid.parse(text)) and address.is_person]
    if any(map(envelope.is_own, addresses)):
        yield from (OwnIdentity(lid=address) for address in addresses if address.kind is AddressKind.LID)
    else:
        yield from _pairs(addresses, coerce.clock_ms(envelope.clock), is_certain=True)


def _resolve(  # noqa: PLR0913 - each argument is a part of one key
    address: Address, key: Json, fields: tuple[str, ...], envelope: Envelope, ms: int, *, is_certain: bool
) -> tuple[Address, tuple[SamePerson, ...]]:
    """Return a person's address (a phone number if the key has one) and the pair of addresses of this person."""
    others = [other for name in fields if name in key and (other := jid.parse(key[name])) and other.is_person]
    # Some Evolution versions write the instance's own address into alias fields, but the instance's address is never an
    # alias of a contact.
    others = [] if envelope.is_own(address) else [other for other in others if not envelope.is_own(other)]
    pairs = tuple(_pairs([address, *others], ms, is_certain=is_certain))
    if pairs:
        phone, lid = pairs[0].phone, pairs[0].lid
        return (replace(phone, lid=lid.key) if is_certain else phone), pairs
    return address, ()


def _pairs(addresses: list[Address], ms: int, *, is_certain: bool) -> Iterator[SamePerson]:
    phone = next((one for one in addresses if one.kind is AddressKind.PHONE), None)
    lid = next((one for one in addresses if one.kind is AddressKind.LID), None)
    if phone is not None and lid is not None:
        yield SamePerson(phone, lid, ms, is_certain)


def _correspondent(address: Address | None, key: Json, envelope: Envelope) -> Iterator[Correspondent]:
    """Yield the fact that messages are exchanged under a LID, unless the key may be that of a note to oneself."""
    if address is None or address.kind is not AddressKind.LID:
        return
    names = ("remoteJid", *_INBOUND_CHAT_ALIASES, "participant", *_PARTICIPANT_ALIASES)
    found = [other for name in names if name in key and (other := jid.parse(key[name]))]
    if not any(map(envelope.is_own, found)):
        yield Correspondent(address)


def _own_participant(key: Json, envelope: Envelope) -> Iterator[OwnIdentity]:
    """Yield the instance's own LID, which is the participant in the key of an outbound message in a group."""
    lids = [lid for name in ("participant", *_PARTICIPANT_ALIASES) if (lid := _parse_lid(key.get(name)))]
    yield from (OwnIdentity(lid=lid) for lid in lids if not envelope.is_own(lid))


def _parse_lid(text: object) -> Address | None:
    address = jid.parse(text)
    return address if address is not None and address.kind is AddressKind.LID else None
