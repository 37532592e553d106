"""All events of one WhatsApp call become one message, which shows the latest stage of the call."""

from typing import Any

import pytest

from conversations.evolution.calls import STAGES, parse_call
from conversations.evolution.coerce import UnknownShapeError
from conversations.evolution.facts import ConversationState, MessageCopy
from tests.conversations.evolution.envelopes import CLOCK_MS, GROUP, LIVE, PHONE, address, envelope

CALL = {"id": "C1", "from": PHONE, "date": "2025-12-11T13:00:00.000Z", "status": "offer", "isVideo": True}


def call_message(**fields: Any) -> MessageCopy:
    message, _ = parse_call(CALL | fields, envelope("call"))
    assert isinstance(message, MessageCopy)
    return message


def test_a_call_is_an_inbound_message_of_its_caller() -> None:
    message, state = parse_call(CALL, envelope("call"))
    assert isinstance(message, MessageCopy)
    assert (message.kind, message.from_me, message.chat, message.sender) == ("call", False, *[address(PHONE)] * 2)
    assert message.details == {"stage": "offer", "is_video": True}
    assert state == ConversationState(address(PHONE), {"is_deleted": False}, LIVE)


def test_a_group_call_belongs_to_the_group() -> None:
    message = call_message(groupJid=GROUP)
    assert (message.chat, message.sender) == (address(GROUP), address(PHONE))


def test_a_later_stage_takes_precedence_over_an_earlier_one() -> None:
    assert sorted(STAGES, key=lambda stage: call_message(status=stage).precedence) == list(reversed(STAGES))
    later = call_message(status="accept", date="2025-12-11T13:00:09.000Z")
    assert later.precedence < call_message(status="offer").precedence


def test_more_than_nine_stages_keep_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    more = (*STAGES, *(f"stage_{n}" for n in range(6)))
    monkeypatch.setattr("conversations.evolution.calls.STAGES", more)
    assert sorted(more, key=lambda stage: call_message(status=stage).precedence) == list(reversed(more))


def test_a_call_without_a_date_has_the_time_of_its_envelope() -> None:
    assert call_message(date=None).timestamp.timestamp() * 1000 == CLOCK_MS


@pytest.mark.parametrize("fields", [{"from": None}, {"id": ""}, {"status": "new_stage"}])
def test_an_incomplete_call_is_an_unknown_shape(fields: dict[str, Any]) -> None:
    with pytest.raises(UnknownShapeError):
        call_message(**fields)
