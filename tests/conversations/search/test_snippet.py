"""A snippet is the plain text around the first match, with the positions of the matches."""

import pytest

from conversations.search import folding
from conversations.search.query import parse
from conversations.search.snippet import SNIPPET_CHARS, snippet


@pytest.mark.parametrize(
    ("text", "query", "marked"),
    [
        ("Olá João, tudo bem?", "joao", ["João"]),
        ("Ação e reação: ações", "ação aco", ["Ação", "açõ"]),
        ("<b>João</b>", "joão", ["João"]),
        ("Joa\u0303o", "joao", ["Joa\u0303o"]),
        ("Joã", "joa", ["Joã"]),
        ("Joa\u0303", "joa", ["Joa\u0303"]),
        ("fale no (12) 90000-0027", "+5512900000027", ["90000", "0027"]),
        ("nada", "joao", []),
        ("", "joao", []),
    ],
)
def test_matches_are_marked_by_position(text: str, query: str, marked: list[str]) -> None:
    found = snippet(text, parse(query).texts)
    assert found.text == text
    assert [text[start:end] for start, end in found.marks] == marked


def test_a_long_text_is_cut_around_the_first_match() -> None:
    text = "a " * 500 + "João " + "b " * 500
    found = snippet(text, parse("joao").texts)
    assert found.text[0] == found.text[-1] == "…"
    assert len(found.text) == SNIPPET_CHARS + 2
    ((start, end),) = found.marks
    assert found.text[start:end] == "João"


def test_marks_end_with_the_snippet() -> None:
    found = snippet("palavra " * 100, parse("palavra").texts)
    assert all(found.text[start:end] in "palavra" for start, end in found.marks)
    assert max(end for _, end in found.marks) <= SNIPPET_CHARS


FILLERS = {
    "words": "palavra ",
    "letters": "b ",
    "one word": "b",
    "accents": "ba\u0303",
    "characters without case": "".join(map(chr, range(0x4E00, 0x6000))),
    "syllables": "".join(map(chr, range(0xAC00, 0xAC80))) + " ",
    "emojis": "\U0001f600",
}


@pytest.mark.parametrize("filler", FILLERS.values(), ids=FILLERS)
@pytest.mark.parametrize("length", [0, 1, 98, 99, 100, 101, 199, 200, 201, 299, 300, 301, 9_000])
def test_a_match_is_found_wherever_it_is(filler: str, length: int) -> None:
    before = (filler * (length // len(filler) + 1))[:length]
    found = snippet(f"{before}, João. {filler}", parse("joao").texts)
    assert [found.text[start:end] for start, end in found.marks] == ["João"]


def test_the_end_of_a_word_is_no_match() -> None:
    for length in range(320):
        assert not snippet("b" * length + "joao", parse("joao").texts).marks or not length
        assert not snippet(" " * length + "b\u0303joao", parse("joao").texts).marks


@pytest.mark.parametrize("filler", ["\ufdfa", *FILLERS.values()], ids=["a character that becomes 18", *FILLERS])
def test_few_characters_are_read_one_by_one(filler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of 200 messages that somebody had filled with U+FDFA took 21 s."""
    read: list[str] = []

    def counted(text: str) -> tuple[str, list[int]]:
        read.append(text)
        return folding.fold_with_positions(text)

    monkeypatch.setattr("conversations.search.snippet.fold_with_positions", counted)
    long = (filler * (65_000 // len(filler) + 1))[:65_000]
    for text in (f"joao {long}", f"{long[:5000]} joao", long):
        snippet(text, parse("joao").texts)
    assert sum(map(len, read)) < 1500
