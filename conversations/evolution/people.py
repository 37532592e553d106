"""Parses events about contacts, chats, groups and presence."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

from conversations.evolution import coerce, jid, keys
from conversations.evolution.coerce import Json, UnknownShapeError
from conversations.evolution.envelope import Envelope, echo_clock, live_clock
from conversations.evolution.facts import ContactState, ConversationState, Fact, Member, Membership
from conversations.evolution.jid import Address, AddressKind
from conversations.evolution.keys import IdentityFact
from conversations.evolution.marking import mark as _
from conversations.evolution.names import usable_name

# Persons that are read of one record, because all of them are written in one transaction. WhatsApp's largest groups,
# those for the announcements of a community, have 5,000 members, and all others 1,024. A presence names one or a few.
MAX_MEMBERS = 5_000
MAX_CHANGED = 1_024
MAX_PRESENCES = 1_000
PRESENCES = frozenset({"available", "unavailable", "composing", "recording", "paused"})
ADMIN_ROLES = frozenset({"admin", "superadmin"})
# action in a `group-participants.update` event → (role of the participants, whether they are now in the group)
ACTIONS = {
    "add": ("member", True),
    "promote": ("admin", True),
    "demote": ("member", True),
    "remove": ("member", False),
}
# Actions that set the role. The participant in the event may still have the role of before.
ROLE_ACTIONS = frozenset({"promote", "demote"})
# Fields of an item about one person or chat, all of which hold addresses of the same person.
ADDRESSES = ("remoteJid", "id", "jid", "lid", "phoneNumber", "remoteJidAlt", "pnJid", "lidJid")
MODIFY = "modify"  # the action of an event that only reports the addresses of a participant whose number changed
# Pairs of fields in a group's metadata that hold two addresses of the same person.
ADDRESS_PAIRS = (
    ("author", "authorPn"),
    ("owner", "ownerPn"),
    ("subjectOwner", "subjectOwnerPn"),
    ("descOwner", "descOwnerPn"),
)


def parse_contact(raw: object, envelope: Envelope) -> Iterator[Fact]:
    """Yield the facts parsed from one item of `contacts.set`, `contacts.upsert` or `contacts.update`.

    An item of a group is skipped, because the name in such an item belongs to a participant. An item of the Cloud API
    is skipped, because it has no address.
    """
    item = coerce.require_object(raw, _("the contact"))
    address = jid.parse(item.get("remoteJid") or item.get("id"))
    if address is None or not address.is_person:
        return
    yield from _same_person(item, ADDRESSES, envelope)
    picture = coerce.url(item.get("profilePicUrl"))
    values, name = {"picture_url": picture} if picture else {}, _name_values(item.get("pushName"), envelope)
    if _is_echo(envelope):
        yield ContactState(address, name, echo_clock(envelope))
        yield ContactState(address, values, live_clock(envelope))
    else:
        yield ContactState(address, {**name, **values}, live_clock(envelope))


def parse_listed_chat(raw: object, envelope: Envelope) -> Iterator[Fact]:
    """Yield the facts parsed from one item of `chats.set`: the chat exists, and may have a name."""
    address = _chat_address(raw)
    if address is not None:
        yield from _same_chat(raw, envelope)
        yield ConversationState(address, {}, live_clock(envelope))
        yield from _chat_name(address, raw, envelope)


def parse_chat_update(raw: object, envelope: Envelope) -> Iterator[Fact]:
    """Yield the facts parsed from one item of `chats.upsert` or `chats.update`: the chat's name, if the item has one.

    An item without a name creates no conversation. Most items without a name only report activity in a chat, and some
    contain a LID although the conversation is stored under a phone number.
    """
    address = _chat_address(raw)
    if address is not None:
        yield from _same_chat(raw, envelope)
        yield from _chat_name(address, raw, envelope)


def parse_chat_deletion(raw: object, envelope: Envelope) -> Iterator[Fact]:
    """Yield the facts parsed from one item of `chats.delete`.

    Raises:
        UnknownShapeError: the item has no address.
    """
    address = _chat_address(raw)
    if address is None:
        raise UnknownShapeError(_("the chat has no address"))
    yield ConversationState(address, {"is_deleted": True}, live_clock(envelope))


def parse_group(raw: object, envelope: Envelope) -> Iterator[Fact]:
    """Yield the facts parsed from the metadata of one group; only `groups.upsert` events list all participants.

    Raises:
        UnknownShapeError: the metadata has no group address.
    """
    metadata = coerce.require_object(raw, _("the group"))
    chat = _group_address(metadata)
    subject = coerce.text(metadata.get("subject"), 255)
    yield ConversationState(chat, {"name": subject} if subject else {}, live_clock(envelope))
    for pair in ADDRESS_PAIRS:
        yield from _same_person(metadata, pair, envelope)
    participants = metadata.get("participants")
    if isinstance(participants, list) and participants:
        members = _members(participants[:MAX_MEMBERS], "member", envelope)
        yield from _membership(chat, members, envelope, complete=True)
        coerce.require_at_most(MAX_MEMBERS, participants)


def parse_participants_update(raw: object, envelope: Envelope) -> Iterator[Fact]:
    """Yield the facts parsed from `group-participants.update`.

    Raises:
        UnknownShapeError: the event has no group address or an unknown action.
    """
    update = coerce.require_object(raw, _("the participants' update"))
    chat, action = _group_address(update), update.get("action")
    yield from _same_person(update, ("author", "authorPn"), envelope)
    named, described = (coerce.as_list(update.get(name)) for name in ("participants", "participantsData"))
    changed = named[:MAX_CHANGED]
    for person in described[:MAX_CHANGED]:
        yield from _same_person(person, ADDRESSES, envelope)
    if action == MODIFY:
        yield from (fact for fact in _members(changed, "member", envelope) if not isinstance(fact, Member))
        coerce.require_at_most(MAX_CHANGED, named, described)
        return
    effect = ACTIONS.get(coerce.one_of(action, ACTIONS))
    if effect is None:
        raise UnknownShapeError(_("the participants' update has an unknown action"))
    role, is_present = effect
    members = (
        replace(fact, role=role) if isinstance(fact, Member) and action in ROLE_ACTIONS else fact
        for fact in _members(changed, role, envelope, is_present=is_present)
    )
    yield from _membership(chat, members, envelope, complete=False)
    coerce.require_at_most(MAX_CHANGED, named, described)


def parse_presence(raw: object, envelope: Envelope) -> Iterator[Fact]:
    """Yield the facts parsed from `presence.update`, one fact for each person in the event."""
    presences = coerce.require_object(
        coerce.require_object(raw, _("the presence")).get("presences"), _("the list of presences")
    )
    for jid_text, state in islice(presences.items(), MAX_PRESENCES):
        address = jid.parse(jid_text)
        if address is None or not address.is_person or not isinstance(state, dict):
            continue
        values: dict[str, Any] = {}
        if presence := coerce.one_of(state.get("lastKnownPresence"), PRESENCES):
            values["presence"] = presence
        if last_seen := envelope.stated_ms(state.get("lastSeen")):
            values["last_seen_at"] = coerce.from_ms(last_seen)
        yield ContactState(address, values, live_clock(envelope))
    coerce.require_at_most(MAX_PRESENCES, presences)


def _chat_address(raw: object) -> Address | None:
    """Return the address in a chat's item, which is a JID or an object that contains a JID.

    An `id` without an @ is an id in Evolution's database, not a JID.
    """
    if isinstance(raw, str):
        return jid.parse(raw)
    item = coerce.require_object(raw, _("the chat"))
    jid_text = item.get("remoteJid") or item.get("id")
    return jid.parse(jid_text) if isinstance(jid_text, str) and ("@" in jid_text or "remoteJid" in item) else None


def _chat_name(address: Address, raw: object, envelope: Envelope) -> Iterator[Fact]:
    name = usable_name(raw.get("name")) if isinstance(raw, dict) else ""
    if not name:
        return
    if address.is_person:
        clock = echo_clock(envelope) if _is_echo(envelope) else live_clock(envelope)
        yield ContactState(address, _name_values(name, envelope), clock)
    yield ConversationState(address, {} if address.is_person else {"name": name}, live_clock(envelope))


def _group_address(metadata: Json) -> Address:
    chat = jid.parse(metadata.get("id"))
    if chat is None or chat.kind is not AddressKind.GROUP:
        raise UnknownShapeError(_("the group has no address"))
    return chat


def _name_values(value: object, envelope: Envelope) -> dict[str, str]:
    """Return a contact's name as a latest-state value; {} if `value` is not a name.

    An array holds the names that are saved in the phone's address book, and an object the name in a message that just
    arrived.
    """
    name = usable_name(value)
    return {"saved_name" if isinstance(envelope.data, list) else "push_name": name} if name else {}


def _is_echo(envelope: Envelope) -> bool:
    """Return whether the names in an event may be the instance's own; see `echo_clock`."""
    return not envelope.has_sender and not isinstance(envelope.data, list)


def _same_person(raw: object, names: tuple[str, ...], envelope: Envelope) -> Iterator[IdentityFact]:
    """Yield the pair of addresses in fields of an object, all of which hold addresses of the same person."""
    if isinstance(raw, dict):
        yield from keys.same_person((raw.get(name) for name in names), envelope)


def _same_chat(raw: object, envelope: Envelope) -> Iterator[IdentityFact]:
    yield from _same_person(raw, ADDRESSES, envelope)


def _members(
    raw: list[Any], role: str, envelope: Envelope, *, is_present: bool = True
) -> Iterator[IdentityFact | Member]:
    for item in raw:
        fields = item if isinstance(item, dict) else {"id": item}
        address = jid.parse(fields.get("id"))
        if address is None or not address.is_person:
            continue
        yield from _same_person(fields, ADDRESSES, envelope)
        yield Member(address, coerce.one_of(fields.get("admin"), ADMIN_ROLES) or role, is_present)


def _membership(
    chat: Address, facts: Iterator[IdentityFact | Member], envelope: Envelope, *, complete: bool
) -> Iterator[Fact]:
    members = []
    for fact in facts:
        if isinstance(fact, Member):
            members.append(fact)
        else:
            yield fact
    yield Membership(chat, tuple(members), live_clock(envelope), complete)
