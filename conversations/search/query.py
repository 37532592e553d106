"""Parses what people type into a search field: words, or a phone number in any writing."""

import re
from dataclasses import dataclass

from conversations.search.folding import fold

MAX_WORDS = 8
MAX_WORD_CHARS = 50
MIN_PREFIX = 3  # characters from which on a word also finds the words that begin with it
MIN_NUMBER_PREFIX = 4  # digits from which on a number also finds the numbers that begin with it
LOCAL_DIGITS = 8  # digits of a Brazilian number without country code, area code and ninth digit
_NUMBER = re.compile(r"[+\d\s().\-/]+")
_BRAZILIAN = re.compile(r"(?:55)?(\d\d)?9?(\d{8})")


@dataclass(frozen=True)
class Word:
    """A folded word; with `is_prefix`, it stands for all words that begin with it."""

    text: str
    is_prefix: bool


# A disjunction of conjunctions: a row matches if it has all words of one of the alternatives.
Alternatives = tuple[tuple[Word, ...], ...]


@dataclass(frozen=True)
class Query:
    """What is searched for.

    Attributes:
        names: the words, or forms of a number, that a name or a number must have.
        texts: the words, or forms of a number, that the text of a message must have.
    """

    names: Alternatives
    texts: Alternatives

    def __bool__(self) -> bool:
        return bool(self.names)


def parse(text: str) -> Query:
    """Parse a search text; the result is false if the text contains nothing to search for.

    >>> parse("João 2").names
    ((Word(text='joao', is_prefix=True), Word(text='2', is_prefix=False)),)
    """
    words = tuple(word for word in fold(text).split() if len(word) <= MAX_WORD_CHARS)[:MAX_WORDS]
    if not words:
        return Query((), ())
    digits = re.sub(r"\D", "", text)
    if _NUMBER.fullmatch(text.strip()) and MIN_NUMBER_PREFIX <= len(digits) <= MAX_WORD_CHARS:
        return Query(_number_forms(digits), _written_forms(digits))
    together = (tuple(map(_word, words)),)
    return Query(together, together)


def _word(text: str) -> Word:
    return Word(text, len(text) >= (MIN_NUMBER_PREFIX if text.isdecimal() else MIN_PREFIX))


def _number_forms(digits: str) -> Alternatives:
    """Return the forms of a number that contacts are indexed by: as typed, and without the 0 before the area code."""
    stripped = digits.lstrip("0")
    forms = dict.fromkeys((digits, stripped) if len(stripped) >= MIN_NUMBER_PREFIX else (digits,))
    return tuple((Word(form, is_prefix=True),) for form in forms)


def _written_forms(digits: str) -> Alternatives:
    """Return the ways in which the number can be written in a message, in one word or in two."""
    match = _BRAZILIAN.fullmatch(digits.lstrip("0")) or _BRAZILIAN.fullmatch(digits)
    if match is None:
        return _number_forms(digits)
    area, local = match[1] or "", match[2]
    whole = (f"{country}{area}{ninth}{local}" for country in ("", "55") for ninth in ("", "9") if area or not country)
    local_forms = (f"{ninth}{local}" for ninth in ("", "9"))
    halves = ((f"{ninth}{local[:4]}", local[4:]) for ninth in ("", "9"))
    forms = dict.fromkeys([*((form,) for form in (*whole, *local_forms)), *halves])
    return tuple(tuple(Word(part, is_prefix=False) for part in form) for form in forms)
