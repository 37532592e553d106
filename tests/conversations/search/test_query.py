"""What people type becomes words, or the forms of a phone number."""

import pytest

from conversations.search.folding import fold, fold_with_positions
from conversations.search.query import MAX_WORDS, Word, parse

FULL = ("5512900000027", "551200000027", "12900000027", "1200000027", "900000027", "00000027")


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("João", "joao"),
        ("AÇÃO", "acao"),
        ("Jo\u0061\u0303o", "joao"),
        ("pão-de-queijo, R$ 5,00!", "pao de queijo r 5 00"),
        ("👍ok👍", "ok"),
        ("\N{MATHEMATICAL BOLD CAPITAL A}\N{LATIN SMALL LIGATURE FI}m nº", "afim no"),
        ("Ελλάδα", "ελλαδα"),
        ("  \n", ""),
    ],
)
def test_texts_are_folded(text: str, folded: str) -> None:
    assert fold(text) == folded
    with_separators, positions = fold_with_positions(text)
    assert with_separators.split() == folded.split()
    assert len(with_separators) == len(positions)


def test_long_runs_of_marks_are_divided_before_they_are_sorted() -> None:
    """Sorting the marks takes quadratic time, so without limit this text would take many minutes."""
    assert fold("a" + "\u0301\u0323" * 250_000) == "a"
    shadda, fathatan = "\u0651", "\u064b"  # sorted, the second comes first
    assert fold(f"b{shadda * 31}{fathatan}") == f"b{shadda * 30}{fathatan}{shadda}"


def test_words_find_what_begins_with_them_unless_they_are_short() -> None:
    words = Word("joao", is_prefix=True), Word("da", is_prefix=False), Word("123", is_prefix=False)
    assert parse(" João da 123 ").names == parse("joao DA 123").texts == (words,)


@pytest.mark.parametrize("text", ["", " ", "!?", "👍", "x" * 51])
def test_there_may_be_nothing_to_search_for(text: str) -> None:
    assert not parse(text)


def test_a_query_has_few_words() -> None:
    assert len(parse("a b c " * 9).names[0]) == MAX_WORDS


@pytest.mark.parametrize("text", ["+55 (12) 90000-0027", "012 90000.0027", "5512900000027", "12 0000-0027"])
def test_a_phone_number_has_many_forms_in_a_message(text: str) -> None:
    forms = {tuple(word.text for word in words) for words in parse(text).texts}
    assert {(form,) for form in FULL} | {("90000", "0027"), ("0000", "0027")} == forms


def test_a_part_of_a_number_is_a_prefix() -> None:
    assert parse("5512 9").names == ((Word("55129", is_prefix=True),),)
    assert parse("0027").names == ((Word("0027", is_prefix=True),),)
