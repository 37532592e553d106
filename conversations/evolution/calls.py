"""Calls to the instance: one bubble a call, in the chat of whoever called."""

from collections.abc import Iterator

from conversations.evolution import coerce, jid
from conversations.evolution.coerce import UnknownShapeError
from conversations.evolution.envelope import Envelope
from conversations.evolution.facts import ConversationState, Fact, MessageCopy
from conversations.evolution.records import precedence
from conversations.evolution.status import DELIVERED

# Several events tell one call's course; the latest stage is shown, whichever came last.
STAGES = ("offer", "ringing", "terminate", "timeout", "reject", "accept")


def call(raw: object, envelope: Envelope) -> Iterator[Fact]:
    """Yield what one call event says."""
    event = coerce.require_object(raw, "the call")
    caller = jid.parse(event.get("from"))
    chat = jid.parse(event.get("groupJid")) or jid.parse(event.get("chatId")) or caller
    key_id, stage = coerce.key_id(event.get("id")), coerce.one_of(event.get("status"), STAGES)
    if chat is None or not key_id or not stage:
        raise UnknownShapeError("the call is not complete")
    at = coerce.iso_ms(event.get("date"))
    ms = coerce.clock_ms(envelope.clock) if at is None else at
    details = {"stage": stage, "is_video": event.get("isVideo") is True}
    sender = caller if caller and caller.is_person else None
    yield MessageCopy(
        chat=chat,
        key_id=key_id,
        from_me=False,
        timestamp=coerce.from_ms(ms),
        kind="call",
        status=DELIVERED,
        # The stage is the first digit: the least precedence is the latest stage.
        precedence=f"{len(STAGES) - STAGES.index(stage)}{precedence(details, ms)[1:]}",
        sender=sender or (chat if chat.is_person else None),
        details=details,
    )
    yield ConversationState(chat, {"is_deleted": False}, f"1:{envelope.clock}")
