"""Cuts out the part of a text around the first match, with the positions of all matches in that part.

A snippet is plain text. Whoever shows it must escape it, and marks the matches by their positions.
"""

from bisect import bisect_right
from dataclasses import dataclass

from conversations.search.folding import fold_with_positions
from conversations.search.query import Alternatives, Word

SNIPPET_CHARS = 160
SEARCHED_CHARS = 20_000  # characters of a message that are indexed
CONTEXT_CHARS = 40  # characters before the first match


@dataclass(frozen=True)
class Snippet:
    """A part of a text.

    Attributes:
        text: the part; `…` stands for what was cut off before and after it.
        marks: start and end of each match, as positions of characters in `text`.
    """

    text: str
    marks: tuple[tuple[int, int], ...]


def snippet(text: str, alternatives: Alternatives) -> Snippet:
    """Return the part of a text around the first word that matches one of the alternatives."""
    marks = _matches(text[:SEARCHED_CHARS], {word for words in alternatives for word in words})
    start = max(0, marks[0][0] - CONTEXT_CHARS) if marks and len(text) > SNIPPET_CHARS else 0
    end = start + SNIPPET_CHARS
    before, after = "…" if start else "", "…" if end < len(text) else ""
    shift = len(before) - start
    inside = tuple((first + shift, min(last, end) + shift) for first, last in marks if first < end)
    return Snippet(before + text[start:end] + after, inside)


def _matches(text: str, words: set[Word]) -> list[tuple[int, int]]:
    """Return start and end of each word of the text that was searched for; of a prefix, only the prefix."""
    folded, positions = fold_with_positions(text)
    marks = []
    at = 0
    for found in folded.split(" "):
        length = max((len(word.text) for word in words if _is_match(found, word)), default=0)
        if length:
            marks.append((positions[at], _next_position(positions, at + length - 1, len(text))))
        at += len(found) + 1
    return marks


def _is_match(found: str, word: Word) -> bool:
    return found.startswith(word.text) if word.is_prefix else found == word.text


def _next_position(positions: list[int], last: int, end: int) -> int:
    """Return the position after the character of the text to which the folded character `last` belongs."""
    following = bisect_right(positions, positions[last])
    return positions[following] if following < len(positions) else end
