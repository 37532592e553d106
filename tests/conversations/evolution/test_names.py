"""Numbers, addresses and placeholders are no names."""

import pytest

from conversations.evolution.names import MAX_NAME_LENGTH, OWN_NAME, usable_name


@pytest.mark.parametrize(
    "text",
    [
        None, 7, "", "  ", "5521987654321", "+5521987654321", "+55 (21) 98765-4321", "\u202a+55 21 98765\u202c",
        "204857316940182@lid", "@lid", OWN_NAME, f" {OWN_NAME} ",
    ],
)  # fmt: skip
def test_a_placeholder_is_no_name(text: object) -> None:
    assert usable_name(text) == ""


@pytest.mark.parametrize("text", ["Ana", "Loja 24h", "C-3PO", "é", "👍", "+1 amigo", "ana@example.com"])
def test_any_other_text_is_a_name(text: str) -> None:
    assert usable_name(f" {text}\n") == text


def test_a_long_name_is_cut() -> None:
    assert usable_name("a" * 300) == "a" * MAX_NAME_LENGTH
