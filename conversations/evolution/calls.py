"""Parses `call` events: each call becomes one chat message in the conversation of the caller or the group."""

from collections.abc import Iterator

from conversations.evolution import coerce, jid
from conversations.evolution.coerce import UnknownShapeError
from conversations.evolution.envelope import Envelope, live_clock, sent_order
from conversations.evolution.facts import ConversationState, Fact, MessageCopy
from conversations.evolution.records import precedence
from conversations.evolution.status import DELIVERED

# Evolution sends one event for each stage of a call. Users see the stage that comes last in `STAGES`, even if the event
# of an earlier stage arrives later.
STAGES = ("offer", "ringing", "terminate", "timeout", "reject", "accept")


def parse_call(raw: object, envelope: Envelope) -> Iterator[Fact]:
    """Yield the facts parsed from one `call` event.

    Raises:
        UnknownShapeError: the event lacks a chat, the call's id or a known stage.
    """
    event = coerce.require_object(raw, "the call")
    caller = jid.parse(event.get("from"))
    chat = jid.parse(event.get("groupJid")) or jid.parse(event.get("chatId")) or caller
    key_id, stage = coerce.key_id(event.get("id")), coerce.one_of(event.get("status"), STAGES)
    if chat is None or not key_id or not stage:
        raise UnknownShapeError("the call is not complete")
    called_at = envelope.stated_ms(event.get("date"))
    ms = envelope.arrival_ms if called_at is None else called_at
    details = {"stage": stage, "is_video": event.get("isVideo") is True}
    sender = caller if caller and caller.is_person else None
    yield MessageCopy(
        chat=chat,
        key_id=key_id,
        from_me=False,
        timestamp=coerce.from_ms(ms),
        sent_order=sent_order(envelope),
        kind="call",
        status=DELIVERED,
        # The first digit of the precedence encodes the stage of the call. A later stage has a smaller digit, because
        # users see the copy of a chat message with the smallest precedence.
        precedence=f"{len(STAGES) - STAGES.index(stage)}{precedence(details, ms)[1:]}",
        sender=sender or (chat if chat.is_person else None),
        details=details,
    )
    yield ConversationState(chat, {"is_deleted": False}, live_clock(envelope))
