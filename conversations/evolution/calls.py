"""Parses `call` events: each call becomes one chat message in the conversation of the caller or the group.

The first event of a group call names the group; later events may only say that it is a group's. These become updates,
which find the call by its id in whichever group it is.
"""

from collections.abc import Iterator

from conversations.evolution import coerce, jid, keys
from conversations.evolution.coerce import Json, UnknownShapeError
from conversations.evolution.envelope import Envelope, live_clock, sent_order
from conversations.evolution.facts import ConversationState, Fact, MessageCopy, MessageUpdate, SamePerson
from conversations.evolution.jid import Address, AddressKind
from conversations.evolution.marking import mark as _
from conversations.evolution.records import MAX_MISSING, precedence
from conversations.evolution.status import DELIVERED
from conversations.evolution.updates import INBOUND

# Evolution sends one event for each stage of a call. Users see the stage that comes last in `STAGES`, even if the event
# of an earlier stage arrives later.
STAGES = ("offer", "ringing", "terminate", "timeout", "reject", "accept")


def parse_call(raw: object, envelope: Envelope) -> Iterator[Fact]:
    """Yield the facts parsed from one `call` event.

    Raises:
        UnknownShapeError: the event lacks a chat, the call's id or a known stage.
    """
    event = coerce.require_object(raw, _("the call"))
    called_at = envelope.stated_ms(event.get("date"))
    ms = envelope.arrival_ms if called_at is None else called_at
    chat, caller, identities = _parse_addresses(event, envelope, ms)
    key_id, stage = coerce.key_id(event.get("id")), coerce.one_of(event.get("status"), STAGES)
    if chat is None or not key_id or not stage:
        raise UnknownShapeError(_("the call is not complete"))
    yield from identities
    if event.get("isGroup") is True and chat.kind is not AddressKind.GROUP:
        yield MessageUpdate(key_id, "call", STAGES.index(stage), {"stage": stage}, from_me=INBOUND)
        return
    details = {"stage": stage, "is_video": event.get("isVideo") is True}
    yield MessageCopy(
        chat=chat,
        key_id=key_id,
        from_me=False,
        timestamp=coerce.from_ms(ms),
        sent_order=sent_order(envelope),
        kind="call",
        status=DELIVERED,
        # The first digit of the precedence encodes the stage of the call. A later stage has a smaller digit, because
        # users see the copy of a chat message with the smallest precedence. All digits are greater than those of other
        # messages: what the events of a call say is joined, and no message with the call's id may come between them.
        precedence=f"{len(STAGES) - STAGES.index(stage) + MAX_MISSING + 1}{precedence(details, ms)[1:]}",
        sender=caller,
        details=details,
    )
    yield ConversationState(chat, {"is_deleted": False}, live_clock(envelope))


def _parse_addresses(
    event: Json, envelope: Envelope, ms: int
) -> tuple[Address | None, Address | None, tuple[SamePerson, ...]]:
    """Return the chat of a call, the person who called, and the pair of this person's addresses.

    `groupJid` is the group of a group call. `chatId` is the other side of the call, which is the caller unless the
    instance itself has called. `callerPn` is the phone number of the caller.
    """
    group, other, caller = (jid.parse(event.get(name)) for name in ("groupJid", "chatId", "from"))
    if caller is None or not caller.is_person or envelope.is_own(caller):
        caller = other if other is not None and other.is_person else None
    identities: tuple[SamePerson, ...] = ()
    if caller is not None:
        lid = other.jid if other is not None and other.kind is AddressKind.LID else None
        key = {"remoteJidAlt": event.get("callerPn"), "senderLid": lid}
        person, identities = keys.parse_person(caller, key, envelope, ms)
        other = person if other is not None and other.key in (caller.key, person.key, person.lid) else other
        caller = person
    return group or other or caller, caller, identities
