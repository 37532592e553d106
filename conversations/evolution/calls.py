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
from conversations.evolution.records import precedence
from conversations.evolution.status import DELIVERED
from conversations.evolution.updates import INBOUND

# Evolution sends one event for each stage of a call. Users see the stage that comes last in `STAGES`, even if the event
# of an earlier stage arrives later.
STAGES = ("offer", "ringing", "terminate", "timeout", "reject", "accept")
# The precedence of each event begins with this word, that of all other messages with a digit, which sorts before it: a
# message with the call's id hides all events of the call, and never comes between two whose details are joined.
_PRECEDENCE = "call"


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
        if event.get("isVideo") is True:
            # An update with a subject of its own, because a waiting update replaces others with the same subject.
            yield MessageUpdate(key_id, "call", 0, {"is_video": True}, from_me=INBOUND, subject="video")
        return
    details = {"stage": stage, "is_video": event.get("isVideo") is True}
    shown = {**details, "sender": caller and caller.key}
    yield MessageCopy(
        chat=chat,
        key_id=key_id,
        from_me=False,
        timestamp=coerce.from_ms(ms),
        sent_order=sent_order(envelope),
        kind="call",
        status=DELIVERED,
        # A later stage has a smaller number, because users see the copy of a chat message with the smallest precedence.
        precedence=f"{_PRECEDENCE}{len(STAGES) - STAGES.index(stage):02d}{precedence(shown, ms)}",
        sender=caller,
        details=details,
    )
    yield ConversationState(chat, {"is_deleted": False}, live_clock(envelope))


def is_of_event(precedence: str) -> bool:
    """Return whether the copy with this precedence is an event of a call, and no record of a call in a chat."""
    return precedence.startswith(_PRECEDENCE)


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
