"""The table of message types has every field of the protocol, and the documentation shows the table."""

import re
from pathlib import Path

import pytest

from conversations.evolution.message_types import CHANNELS, COMPANIONS, LATER, PROTOCOL, TYPES, MessageClass
from conversations.models import Message
from tests.payloads import protocol_fields

PAGE = Path(__file__).resolve().parents[3] / "docs" / "message-types.md"
WRAPPER_TYPES = {"FutureProofMessage", "DeviceSentMessage", "CommentMessage"}  # the types with a field `message`


def test_the_table_has_exactly_the_fields_of_the_protocol() -> None:
    assert sorted(PROTOCOL) == sorted(protocol_fields())
    assert len(TYPES) == len(PROTOCOL) + len(LATER) + len(CHANNELS)  # no key is in two tables


def test_wrappers_are_the_fields_that_hold_a_message() -> None:
    wrappers = {name for name, described in PROTOCOL.items() if described.cls is MessageClass.WRAPPER}
    assert wrappers == {name for name, type_name in protocol_fields().items() if type_name in WRAPPER_TYPES}


@pytest.mark.parametrize("key", TYPES)
def test_each_type_has_a_kind_exactly_if_it_gives_a_chat_message(key: str) -> None:
    described = TYPES[key]
    if described.cls not in (MessageClass.SIGNAL, MessageClass.CALL, MessageClass.WRAPPER):
        assert described.kind in Message.Kind.values
    elif described.cls is not MessageClass.SIGNAL:
        assert described.kind in ("", *Message.Kind.values)


def test_companions_are_signals() -> None:
    assert {TYPES[key].cls for key in COMPANIONS} == {MessageClass.SIGNAL}


def test_the_documentation_shows_the_table() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (?:`(\w+)` )?\|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    shown = [(key, str(described.cls), described.kind) for key, described in TYPES.items()]
    assert rows == [(key, cls, "" if cls == MessageClass.SIGNAL else kind) for key, cls, kind in shown]
