"""Parsing of WhatsApp addresses: the kind of an address, and which addresses are equal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.evolution import jid
from tests.conversations.evolution.envelopes import address


@pytest.mark.parametrize(
    ("text", "key", "normalized"),
    [
        ("5521987654321@s.whatsapp.net", "phone:552187654321", "5521987654321@s.whatsapp.net"),
        ("5521987654321:12@s.whatsapp.net", "phone:552187654321", "5521987654321@s.whatsapp.net"),
        ("5521987654321_1:12@s.whatsapp.net", "phone:552187654321", "5521987654321@s.whatsapp.net"),
        ("5521987654321@c.us", "phone:552187654321", "5521987654321@s.whatsapp.net"),
        ("5521987654321", "phone:552187654321", "5521987654321@s.whatsapp.net"),
        ("204857316940182@lid", "lid:204857316940182", "204857316940182@lid"),
        ("204857316940182:3@hosted.lid", "lid:204857316940182", "204857316940182@lid"),
        ("120363041785296310@g.us", "group:120363041785296310", "120363041785296310@g.us"),
        ("5511940028922-1500000000@g.us", "group:5511940028922-1500000000", "5511940028922-1500000000@g.us"),
        ("status@broadcast", "status:status", "status@broadcast"),
        ("1700000000@broadcast", "broadcast:1700000000", "1700000000@broadcast"),
        ("120363@newsletter", "newsletter:120363", "120363@newsletter"),
        ("13135550002@bot", "other:13135550002@bot", "13135550002@bot"),
    ],
)
def test_every_kind_of_address_is_parsed(text: str, key: str, normalized: str) -> None:
    parsed = address(text)
    assert (parsed.key, parsed.jid) == (key, normalized)


@pytest.mark.parametrize(
    ("longer", "shorter"),
    [
        ("5531991234567", "553191234567"),  # mobile numbers in Brazil may have a ninth digit
        ("5215512345678", "525512345678"),  # mobile numbers in Mexico may have a 1 after the country code
        ("5491112345678", "541112345678"),  # mobile numbers in Argentina may have a 9 after the country code
    ],
)
def test_the_longer_and_the_shorter_form_of_a_number_have_the_same_key(longer: str, shorter: str) -> None:
    first, second = address(longer), address(shorter)
    assert first.key == second.key
    assert jid.preferred_jid([first.jid, second.jid]) == f"{longer}@s.whatsapp.net"


def test_a_brazilian_landline_does_not_equal_a_mobile_number_with_a_ninth_digit() -> None:
    assert address("5511940028922").key != address("551140028922").key


@pytest.mark.parametrize(
    "text", [None, "", 5, "nobody", [], "@s.whatsapp.net", "abc@s.whatsapp.net", "٣٤@lid", "1" * 200, "1@" + "İ" * 90]
)
def test_other_values_are_not_addresses(text: object) -> None:
    assert jid.parse(text) is None


@given(st.text(max_size=40))
def test_parsing_a_parsed_address_changes_nothing(text: str) -> None:
    parsed = jid.parse(text)
    if parsed is not None:
        assert jid.parse(parsed.jid) == parsed


def test_the_preferred_address_does_not_depend_on_the_order() -> None:
    jids = ["204857316940182@lid", "553191234567@s.whatsapp.net", "5531991234567@s.whatsapp.net"]
    assert jid.preferred_jid(jids) == jid.preferred_jid(jids[::-1]) == "5531991234567@s.whatsapp.net"
    assert jid.preferred_jid([]) == ""


@pytest.mark.parametrize(
    "text",
    ["120363041785296310@g.us", "1772459000@broadcast", "status@broadcast", "12036304@newsletter", "13135550002@bot"],
)
def test_the_key_of_a_chat_gives_its_jid(text: str) -> None:
    assert jid.jid_of(jid.key_of(text)) == text
