"""A snippet is the plain text around the first match, with the positions of the matches."""

import pytest

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
