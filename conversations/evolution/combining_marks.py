"""Limits the runs of combining marks in a text, because Unicode normalization takes quadratic time in a run's length.

The result is the stream-safe form of Unicode Standard Annex 15: U+034F, which is invisible, divides long runs. Texts of
people have a few marks in a row, so they do not change.
"""

import re
from unicodedata import combining, normalize

MAX_RUN = 30  # combining marks
DIVIDER = "\u034f"
# Python's regular expressions have no class of combining marks. These match all of them, and symbols and emoji, too.
# U+FF9E and U+FF9F are letters whose normal forms are combining marks.
_MAYBE_MARK = re.compile(r"[^\w\x00-\x7f]|[\uff9e\uff9f]")
_MAYBE_RUN = re.compile(rf"[\W\uff9e\uff9f]{{{MAX_RUN + 1},}}")


def limit_runs(text: str) -> str:
    """Return a text with a divider after each `MAX_RUN` combining marks in a row; a second call changes nothing."""
    # Each longer run has a mark at one of these positions.
    if text.isascii() or not _MAYBE_MARK.search(text[MAX_RUN :: MAX_RUN + 1]):
        return text
    return _MAYBE_RUN.sub(_divide, text)


def _divide(match: re.Match[str]) -> str:
    run, parts, start, length = match[0], [], 0, 0
    for index, character in enumerate(run):
        length = length + 1 if combining(normalize("NFKD", character)[0]) else 0
        if length > MAX_RUN:
            parts.append(run[start:index])
            start, length = index, 1
    return DIVIDER.join([*parts, run[start:]])
