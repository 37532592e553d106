"""Calls to the instance: one message per call, in the conversation the call belongs to."""

from collections.abc import Iterator

from conversations.evolution import coerce, jid
from conversations.evolution.coerce import UnknownShapeError
from conversations.evolution.envelope import Envelope, live_clock
from conversations.evolution.facts import ConversationState, Fact, MessageCopy
from conversations.evolution.records import precedence
from conversations.evolution.status import DELIVERED

# The stages of one call, one event each. The latest stage in this order is shown, whatever the order of arrival.
STAGES = ("offer", "ringing", "terminate", "timeout", "reject", "accept")


def parse_call(raw: object, envelope: Envelope) -> Iterator[Fact]:
    """Yield the facts of one `call` event.

    Raises:
        UnknownShapeError: the chat, the call's id or a known stage is missing.
    """
    event = coerce.require_object(raw, "the call")
    caller = jid.parse(event.get("from"))
    chat = jid.parse(event.get("groupJid")) or jid.parse(event.get("chatId")) or caller
    key_id, stage = coerce.key_id(event.get("id")), coerce.one_of(event.get("status"), STAGES)
    if chat is None or not key_id or not stage:
        raise UnknownShapeError("the call is not complete")
    called_at = coerce.iso_ms(event.get("date"))
    ms = coerce.clock_ms(envelope.clock) if called_at is None else called_at
    details = {"stage": stage, "is_video": event.get("isVideo") is True}
    sender = caller if caller and caller.is_person else None
    yield MessageCopy(
        chat=chat,
        key_id=key_id,
        from_me=False,
        timestamp=coerce.from_ms(ms),
        kind="call",
        status=DELIVERED,
        # The first digit is the stage: a later stage has a smaller digit, and the smallest precedence is shown.
        precedence=f"{len(STAGES) - STAGES.index(stage)}{precedence(details, ms)[1:]}",
        sender=sender or (chat if chat.is_person else None),
        details=details,
    )
    yield ConversationState(chat, {"is_deleted": False}, live_clock(envelope))
