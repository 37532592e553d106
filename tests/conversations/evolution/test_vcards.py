"""The name of a shared contact comes from its message, or else from its vCard, as WhatsApp shows it."""

from typing import Any

import pytest

from conversations.evolution.content import parse_content
from conversations.evolution.vcards import vcard_name


@pytest.mark.parametrize(
    ("lines", "name"),
    [
        ("FN:Ana", "Ana"),
        ("N:Souza;Ana;;;\r\nFN;CHARSET=UTF-8:Ana S.\r\nTEL:1", "Ana S."),
        ("item1.fn:Ana\\, \n a do bairro", "Ana, a do bairro"),
        ("FN:\nN:Souza;Ana;Maria;;\nORG:Padaria", "Ana Souza"),
        ("N:;Ana;;;", "Ana"),
        ("N:a\\;b;c", "c a;b"),
        ("FN: \nORG:Padaria Sol;Vendas", "Padaria Sol Vendas"),
        ("NOTE:FN:x\nTEL;waid=5521:+55 21", ""),
        ("FN:" + "x" * 300, "x" * 255),
    ],
)
def test_a_vcard_gives_its_name(lines: str, name: str) -> None:
    assert vcard_name(f"BEGIN:VCARD\n{lines}\nEND:VCARD") == name


@pytest.mark.parametrize("value", [None, 5, "", "x", ["FN:x"], {"FN": "x"}])
def test_other_values_give_no_name(value: Any) -> None:
    assert vcard_name(value) == ""
    assert parse_content({"contactMessage": value}).text == (value if isinstance(value, str) else "")
    assert parse_content({"contactsArrayMessage": {"contacts": value}}).text == ""


def test_the_name_in_the_message_comes_first() -> None:
    card = {"vcard": "FN:Ana"}
    assert parse_content({"contactMessage": {"displayName": "Mãe", **card}}).text == "Mãe"
    assert (
        parse_content({"contactsArrayMessage": {"displayName": "2 contatos", "contacts": [card]}}).text == "2 contatos"
    )
    contacts = [card, {"displayName": "Rui"}, 5, {}]
    assert parse_content({"contactsArrayMessage": {"contacts": contacts}}).text == "Ana\nRui"
