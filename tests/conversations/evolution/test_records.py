"""Parsing of message records: addresses in a message key, precedence among copies of a message, and names."""

from typing import Any

import pytest

from conversations.evolution.coerce import UnknownShapeError
from conversations.evolution.facts import ContactState, ConversationState, InstanceState, MessageCopy, SamePerson
from conversations.evolution.records import OWN_NAME, parse_key, parse_record, precedence, usable_name
from tests.conversations.evolution.envelopes import GROUP, HISTORY, LID, LIVE, OWNER, PHONE, address, envelope

CONTACT = address(PHONE)
PAIR = SamePerson(address(LID), CONTACT)


def key(jid: str = PHONE, **fields: Any) -> dict[str, Any]:
    return {"id": "A1", "remoteJid": jid, "fromMe": False} | fields


def record(**fields: Any) -> dict[str, Any]:
    return {
        "key": key(),
        "pushName": "Mariana",
        "message": {"conversation": "oi"},
        "messageType": "conversation",
        "messageTimestamp": 1765458000,
    } | fields


def copy_of(raw: dict[str, Any], event: str = "messages.upsert") -> MessageCopy:
    (copy,) = [fact for fact in parse_record(raw, envelope(event)) if isinstance(fact, MessageCopy)]
    return copy


def test_a_direct_chat_is_known_by_its_phone_number_if_the_key_has_it() -> None:
    for alias in ("remoteJidAlt", "senderPn"):
        parsed = parse_key(key(LID, **{alias: PHONE}), None)
        assert (parsed.chat, parsed.sender, parsed.aliases) == (CONTACT, CONTACT, (PAIR,))


def test_the_sender_of_an_outbound_message_is_not_an_alias_of_the_contact() -> None:
    parsed = parse_key(key(LID, fromMe=True, senderPn=PHONE), None)
    assert (parsed.chat, parsed.sender, parsed.aliases) == (address(LID), None, ())


def test_the_instance_s_own_address_is_not_an_alias_of_a_contact() -> None:
    parsed = parse_key(key(LID, remoteJidAlt=OWNER), address(OWNER))
    assert (parsed.chat, parsed.aliases) == (address(LID), ())


def test_the_sender_of_a_group_message_is_the_participant() -> None:
    parsed = parse_key(key(GROUP, participant=LID, participantAlt=PHONE), None)
    assert (parsed.chat, parsed.sender, parsed.aliases) == (address(GROUP), CONTACT, (PAIR,))


@pytest.mark.parametrize("raw", [None, key(id=""), key(id="x" * 256), key("nobody")])
def test_a_key_without_an_id_or_an_address_is_an_unknown_shape(raw: object) -> None:
    with pytest.raises(UnknownShapeError):
        parse_key(raw, None)


def test_a_live_message_gives_a_copy_a_name_and_the_state_of_its_conversation() -> None:
    copy, *states = parse_record(record(), envelope())
    assert isinstance(copy, MessageCopy)
    assert (copy.chat, copy.text, copy.kind, copy.is_history) == (CONTACT, "oi", "text", False)
    assert states == [
        ContactState(CONTACT, {"name": "Mariana"}, LIVE),
        ConversationState(CONTACT, {"is_deleted": False}, LIVE),
        InstanceState({"owner_jid": OWNER}, LIVE),
    ]


def test_a_history_import_only_gives_a_copy_and_a_name_with_the_history_clock() -> None:
    copy, *states = parse_record(record(), envelope("messages.set"), is_history=True)
    assert isinstance(copy, MessageCopy)
    assert copy.is_history
    assert states == [ContactState(CONTACT, {"name": "Mariana"}, HISTORY)]


def test_a_message_of_another_device_is_told_from_one_sent_through_the_api() -> None:
    outbound = record(key=key(fromMe=True))
    assert copy_of(outbound).from_device
    assert not copy_of(outbound, "send.message").from_device
    assert not copy_of(record()).from_device


def test_a_stub_gives_no_message() -> None:
    assert list(parse_record(record(message=None, messageType=""), envelope())) == []


def test_the_context_of_a_message_is_found_in_all_its_places() -> None:
    context = {"stanzaId": "Q1", "isForwarded": True, "ctwaClid": "ad", "remoteJid": PHONE}
    places = [
        record(contextInfo=context),
        record(message={"extendedTextMessage": {"text": "oi", "contextInfo": context}}),
        record(message={"conversation": "oi", "contextInfo": context}),
    ]
    for raw in places:
        copy = copy_of(raw)
        assert (copy.quoted_key_id, copy.details) == ("Q1", {"is_forwarded": True, "ctwa_clid": "ad"})


def test_the_copy_to_show_has_content_then_is_the_earliest_then_the_fullest() -> None:
    full, sparse = {"text": "oi", "source": "web"}, {"text": "oi", "source": ""}
    ordered = [
        precedence(full, 1),
        precedence(sparse, 1),
        precedence(full, 2),
        precedence(full, 0, is_empty=True),
    ]
    assert sorted(ordered) == ordered


def test_different_copies_never_have_the_same_precedence() -> None:
    assert precedence({"text": "a"}, 1) != precedence({"text": "b"}, 1)


@pytest.mark.parametrize("name", [None, "", "  ", "5521987654321", "+5521987654321", OWN_NAME])
def test_a_placeholder_is_not_a_usable_name(name: object) -> None:
    assert usable_name(name) == ""
