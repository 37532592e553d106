"""Cuts out the part of a text around the first match, with the positions of all matches in that part.

A snippet is plain text. Whoever shows it must escape it, and marks the matches by their positions.
"""

import re
from bisect import bisect_right
from dataclasses import dataclass

from conversations.search.folding import INDEXED_CHARS, fold, fold_with_positions
from conversations.search.query import MAX_WORD_CHARS, Alternatives, Word

SNIPPET_CHARS = 160
CONTEXT_CHARS = 40  # characters before the first match
STEP = 200  # characters of a text that are searched at once
OVERLAP = (
    2 * MAX_WORD_CHARS
)  # characters that two steps have in common; a word may have more characters than its folded form
MAX_FOLDED_CHARS = 2 * INDEXED_CHARS  # of one text

Mark = tuple[int, int]  # start and end of a match, as positions of characters


@dataclass(frozen=True)
class Snippet:
    """A part of a text.

    Attributes:
        text: the part; `…` stands for what was cut off before and after it.
        marks: start and end of each match, as positions of characters in `text`.
    """

    text: str
    marks: tuple[Mark, ...]


def snippet(text: str, alternatives: Alternatives) -> Snippet:
    """Return the part of a text around the first word that matches one of the alternatives."""
    marks = _first_matches(text[:INDEXED_CHARS], {word for words in alternatives for word in words})
    start = max(0, marks[0][0] - CONTEXT_CHARS) if marks and len(text) > SNIPPET_CHARS else 0
    end = start + SNIPPET_CHARS
    before, after = "…" if start else "", "…" if end < len(text) else ""
    shift = len(before) - start
    inside = tuple((first + shift, min(last, end) + shift) for first, last in marks if first < end)
    return Snippet(before + text[start:end] + after, inside)


def _first_matches(text: str, words: set[Word]) -> list[Mark]:
    """Return the first match in a text, and at least those in the `SNIPPET_CHARS` characters after it.

    Positions are found character by character, which is slow. So the text is folded in steps, without positions, until
    a step has a match. Steps overlap, because a word may begin in one and end in the next. One character may become
    many when folded, so a text may have matches that are not found.
    """
    pattern, left = _pattern(words), MAX_FOLDED_CHARS
    for at in range(0, len(text), STEP):
        start, end = max(0, at - OVERLAP), at + STEP
        # The letters x stand for the rest of the words that the step cuts.
        folded = fold(("x" if start else "x ") + text[start:end] + ("x" if end < len(text) else " x"))
        if pattern.search(folded):
            marks = _matches(text[start : end + SNIPPET_CHARS + OVERLAP], words, is_cut=start > 0)
            return [(first + start, last + start) for first, last in marks]
        left -= len(folded)
        if left < 0:
            break
    return []


def _pattern(words: set[Word]) -> re.Pattern[str]:
    """Return the pattern of a match between spaces in a folded text."""
    return re.compile(f"(?<= )(?:{'|'.join(word.text if word.is_prefix else f'{word.text}(?= )' for word in words)})")


def _matches(text: str, words: set[Word], *, is_cut: bool) -> list[Mark]:
    """Return start and end of each word of the text that was searched for; of a prefix, only the prefix.

    With `is_cut`, the text may begin inside of a word, which is left out.
    """
    folded, positions = fold_with_positions(text)
    marks = []
    at = 0
    for index, found in enumerate(folded.split(" ")):
        length = max((len(word.text) for word in words if _is_match(found, word)), default=0)
        if length and (index or not is_cut):
            marks.append((positions[at], _next_position(positions, at + length - 1, len(text))))
        at += len(found) + 1
    return marks


def _is_match(found: str, word: Word) -> bool:
    return found.startswith(word.text) if word.is_prefix else found == word.text


def _next_position(positions: list[int], last: int, end: int) -> int:
    """Return the position after the character of the text to which the folded character `last` belongs."""
    following = bisect_right(positions, positions[last])
    return positions[following] if following < len(positions) else end
