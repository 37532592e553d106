"""Addresses: what they name, and which are equal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.evolution import jid


@pytest.mark.parametrize(
    ("text", "key", "written"),
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
def test_reads_every_kind_of_address(text: str, key: str, written: str) -> None:
    address = jid.parse(text)
    assert address is not None
    assert (address.key, address.jid) == (key, written)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("5531991234567", "553191234567"),  # Brazil's ninth digit
        ("5215512345678", "525512345678"),  # Mexico's 1
        ("5491112345678", "541112345678"),  # Argentina's 9
    ],
)
def test_both_ways_of_writing_a_number_are_one_address(one: str, other: str) -> None:
    first, second = jid.parse(one), jid.parse(other)
    assert first is not None
    assert second is not None
    assert first.key == second.key
    assert jid.preferred_jid([first.jid, second.jid]) == f"{one}@s.whatsapp.net"


def test_a_brazilian_landline_is_not_a_mobile_number_with_nine_digits() -> None:
    mobile, landline = jid.parse("5511940028922"), jid.parse("551140028922")
    assert mobile is not None
    assert landline is not None
    assert mobile.key != landline.key


@pytest.mark.parametrize(
    "text", [None, "", 5, "nobody", [], "@s.whatsapp.net", "abc@s.whatsapp.net", "٣٤@lid", "1" * 200]
)
def test_what_is_no_address_is_none(text: object) -> None:
    assert jid.parse(text) is None


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused_and_reading_again_changes_nothing(text: str) -> None:
    address = jid.parse(text)
    if address is not None:
        assert jid.parse(address.jid) == address


def test_the_best_address_does_not_depend_on_the_order() -> None:
    jids = ["204857316940182@lid", "553191234567@s.whatsapp.net", "5531991234567@s.whatsapp.net"]
    assert jid.preferred_jid(jids) == jid.preferred_jid(jids[::-1]) == "5531991234567@s.whatsapp.net"
    assert jid.preferred_jid([]) == ""
