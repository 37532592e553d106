"""Contacts, chats, groups and presence: events that carry a latest state of somebody or of some chat."""

from collections.abc import Iterator
from typing import Any

from conversations.evolution import coerce, jid
from conversations.evolution.coerce import Json, UnknownShapeError
from conversations.evolution.envelope import Envelope
from conversations.evolution.facts import ContactState, ConversationState, Fact, Member, Membership, SamePerson
from conversations.evolution.jid import Address, Server
from conversations.evolution.records import usable_name

PRESENCES = frozenset({"available", "unavailable", "composing", "recording", "paused"})
ROLES = frozenset({"admin", "superadmin"})
# action of group-participants.update → (the role it gives, whether they are in the group)
ACTIONS = {
    "add": ("member", True),
    "promote": ("admin", True),
    "demote": ("member", True),
    "remove": ("member", False),
}
NEW_NUMBERS = "modify"  # tells only that addresses belong together
# Fields of a group that name one person twice.
PAIRS = (("author", "authorPn"), ("owner", "ownerPn"), ("subjectOwner", "subjectOwnerPn"), ("descOwner", "descOwnerPn"))


def contact(raw: object, envelope: Envelope) -> Iterator[Fact]:
    """Yield what one item of contacts.upsert or contacts.update says.

    A group's item carries the participant's name, the Cloud API's no address: nothing can be kept of either.
    """
    item = coerce.require_object(raw, "the contact")
    address = jid.parse(item.get("remoteJid") or item.get("id"))
    if address is None or not address.is_person:
        return
    values: dict[str, Any] = {
        "name": usable_name(item.get("pushName")),
        "picture_url": coerce.text(item.get("profilePicUrl")),
    }
    yield ContactState(address, {name: value for name, value in values.items() if value}, _live(envelope))


def listed_chat(raw: object, envelope: Envelope) -> Iterator[Fact]:
    """Yield that the chat of one item of chats.set is there, and perhaps its name."""
    address = _chat_address(raw)
    if address is not None:
        yield ConversationState(address, {}, _live(envelope))
        yield from _chat_name(address, raw, envelope)


def named_chat(raw: object, envelope: Envelope) -> Iterator[Fact]:
    """Yield what one item of chats.upsert or chats.update says: a name, if any.

    Most items only say that something happened, and may name a LID where the chat is kept under a phone number: without
    a name they make no conversation.
    """
    address = _chat_address(raw)
    if address is not None:
        yield from _chat_name(address, raw, envelope)


def deleted_chat(raw: object, envelope: Envelope) -> Iterator[Fact]:
    """Yield what one item of chats.delete says."""
    address = _chat_address(raw)
    if address is None:
        raise UnknownShapeError("the chat has no address")
    yield ConversationState(address, {"is_deleted": True}, _live(envelope))


def group(raw: object, envelope: Envelope) -> Iterator[Fact]:
    """Yield what one group's metadata says; only groups.upsert brings all participants."""
    metadata = coerce.require_object(raw, "the group")
    chat = _group_address(metadata)
    subject = coerce.text(metadata.get("subject"), 255)
    yield ConversationState(chat, {"name": subject} if subject else {}, _live(envelope))
    for one, other in PAIRS:
        yield from _alias(metadata.get(one), metadata.get(other))
    participants = metadata.get("participants")
    if isinstance(participants, list) and participants:
        yield from _membership(chat, _members(participants, "member"), envelope, complete=True)


def participants(raw: object, envelope: Envelope) -> Iterator[Fact]:
    """Yield what group-participants.update says."""
    update = coerce.require_object(raw, "the participants' update")
    chat, action = _group_address(update), update.get("action")
    yield from _alias(update.get("author"), update.get("authorPn"))
    changed = coerce.as_list(update.get("participants"))
    if action == NEW_NUMBERS:
        yield from (fact for fact in _members(changed, "member") if isinstance(fact, SamePerson))
        return
    known = ACTIONS.get(coerce.one_of(action, ACTIONS))
    if known is None:
        raise UnknownShapeError("the participants' update has an unknown action")
    role, is_present = known
    yield from _membership(chat, _members(changed, role, is_present=is_present), envelope, complete=False)


def presence(raw: object, envelope: Envelope) -> Iterator[Fact]:
    """Yield what presence.update says of each person."""
    presences = coerce.require_object(coerce.require_object(raw, "the presence").get("presences"), "presences")
    for address_text, state in presences.items():
        address = jid.parse(address_text)
        if address is None or not address.is_person or not isinstance(state, dict):
            continue
        values: dict[str, Any] = {}
        if doing := coerce.one_of(state.get("lastKnownPresence"), PRESENCES):
            values["presence"] = doing
        seen = coerce.milliseconds(state.get("lastSeen"))
        if seen:
            values["last_seen_at"] = coerce.from_ms(seen)
        yield ContactState(address, values, _live(envelope))


def _live(envelope: Envelope) -> str:
    return f"1:{envelope.clock}"


def _chat_address(raw: object) -> Address | None:
    """A chat's item is a JID, or an object with one; the object whose `id` is no JID has none."""
    if isinstance(raw, str):
        return jid.parse(raw)
    item = coerce.require_object(raw, "the chat")
    remote = item.get("remoteJid") or item.get("id")
    return jid.parse(remote) if isinstance(remote, str) and ("@" in remote or "remoteJid" in item) else None


def _chat_name(address: Address, raw: object, envelope: Envelope) -> Iterator[Fact]:
    name = usable_name(raw.get("name")) if isinstance(raw, dict) else ""
    if not name:
        return
    if address.is_person:
        yield ContactState(address, {"name": name}, _live(envelope))
    yield ConversationState(address, {} if address.is_person else {"name": name}, _live(envelope))


def _group_address(metadata: Json) -> Address:
    chat = jid.parse(metadata.get("id"))
    if chat is None or chat.server is not Server.GROUP:
        raise UnknownShapeError("the group has no address")
    return chat


def _alias(one: object, other: object) -> Iterator[SamePerson]:
    first, second = jid.parse(one), jid.parse(other)
    if first and second and first.is_person and second.is_person and first.server is not second.server:
        yield SamePerson(first, second)


def _members(raw: list[Any], role: str, *, is_present: bool = True) -> Iterator[SamePerson | Member]:
    for item in raw:
        fields = item if isinstance(item, dict) else {"id": item}
        address = jid.parse(fields.get("id"))
        if address is None or not address.is_person:
            continue
        for name in ("phoneNumber", "lid", "jid"):
            yield from _alias(fields.get("id"), fields.get(name))
        yield Member(address, coerce.one_of(fields.get("admin"), ROLES) or role, is_present)


def _membership(
    chat: Address, found: Iterator[SamePerson | Member], envelope: Envelope, *, complete: bool
) -> Iterator[Fact]:
    members = []
    for fact in found:
        if isinstance(fact, Member):
            members.append(fact)
        else:
            yield fact
    yield Membership(chat, tuple(members), _live(envelope), complete)
