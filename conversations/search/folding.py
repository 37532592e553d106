"""Folds texts for comparison: without accents, in lower case, in words of letters and digits.

The SQL function `conversations_fold` of migration 0025 does the same on PostgreSQL.
"""

import re
import unicodedata
from functools import lru_cache

from conversations.evolution.combining_marks import limit_runs

INDEXED_CHARS = 20_000  # characters of a text that are indexed
_MARKS = re.compile("[\u0300-\u036f]+")
_SEPARATORS = re.compile("[^a-z0-9\u00c0-\u1fff\u3040-\ud7ff]+")


def fold(text: str) -> str:
    """Return the folded words of a text, separated by spaces.

    >>> fold("João, AÇÃO!")
    'joao acao'
    """
    return _SEPARATORS.sub(" ", _fold(limit_runs(text))).strip()


def fold_with_positions(text: str) -> tuple[str, list[int]]:
    """Return the folded text with all its separators, and for each of its characters the position in the text."""
    parts = list(map(_fold_character, text))
    positions = [position for position, part in enumerate(parts) for _ in part]
    return "".join(parts), positions


def _fold(text: str) -> str:
    return _MARKS.sub("", unicodedata.normalize("NFKD", text).lower())


@lru_cache(maxsize=4096)
def _fold_character(character: str) -> str:
    return _SEPARATORS.sub(" ", _fold(character))
