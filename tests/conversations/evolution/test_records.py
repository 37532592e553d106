"""Parsing of message records: addresses in a message key, precedence among copies of a message, and names."""

from typing import Any

from conversations.evolution.facts import ContactState, ConversationState, InstanceState, MessageCopy
from conversations.evolution.records import parse_record, precedence
from tests.conversations.evolution.envelopes import HISTORY, LIVE, OWNER, PHONE, address, envelope

CONTACT = address(PHONE)


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


def test_a_live_message_gives_a_copy_a_name_and_the_state_of_its_conversation() -> None:
    copy, *states = parse_record(record(), envelope())
    assert isinstance(copy, MessageCopy)
    assert (copy.chat, copy.text, copy.kind, copy.is_history) == (CONTACT, "oi", "text", False)
    assert states == [
        ContactState(CONTACT, {"push_name": "Mariana"}, LIVE),
        ConversationState(CONTACT, {"is_deleted": False}, LIVE),
        InstanceState({"owner_jid": OWNER}, LIVE),
    ]


def test_a_history_import_only_gives_a_copy_and_a_name_with_the_history_clock() -> None:
    copy, *states = parse_record(record(), envelope("messages.set"), is_history=True)
    assert isinstance(copy, MessageCopy)
    assert copy.is_history
    assert states == [ContactState(CONTACT, {"push_name": "Mariana"}, HISTORY)]


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
        precedence(sparse, 1, missing=1),
        precedence(full, 0, missing=2),
    ]
    assert sorted(ordered) == ordered


def test_different_copies_never_have_the_same_precedence() -> None:
    assert precedence({"text": "a"}, 1) != precedence({"text": "b"}, 1)
