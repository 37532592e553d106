"""The catalogues contain all texts of the project, completely translated, and are compiled."""

import re

import pytest
from babel.messages.catalog import Message

from tests.languages import catalogues, extraction

ADVICE = "run `make messages`, and translate what it prints"
_PLACEHOLDERS = re.compile(r"%\(\w+\)[a-z]|%[sd]|\{\w*\}|</?\w+>|%%")


@pytest.fixture(scope="module")
def texts() -> set[extraction.Text]:
    return extraction.texts()


def messages(locale: str) -> list[Message]:
    return [message for message in catalogues.read(locale) if message.id]


def id_of(message: Message) -> tuple[str, ...]:
    return (message.id,) if isinstance(message.id, str) else tuple(message.id)


@pytest.mark.parametrize("locale", catalogues.LOCALES)
def test_a_catalogue_contains_each_text_of_the_project_and_no_other(locale: str, texts: set[extraction.Text]) -> None:
    known = {(message.context or "", *id_of(message)) for message in messages(locale)}
    expected = {(context, *([text] if isinstance(text, str) else text)) for context, text in texts}
    assert (expected - known, known - expected) == (set(), set()), ADVICE


@pytest.mark.parametrize("locale", catalogues.LOCALES)
def test_each_text_is_translated(locale: str) -> None:
    assert [message.id for message in messages(locale) if not all(catalogues.translations(message))] == [], ADVICE
    assert [message.id for message in messages(locale) if message.fuzzy] == []


@pytest.mark.parametrize("locale", catalogues.LOCALES)
def test_a_translation_has_the_placeholders_and_the_tags_of_its_text(locale: str) -> None:
    def marks(text: str) -> list[str]:
        return sorted(_PLACEHOLDERS.findall(text))

    wrong = []
    for message in messages(locale):
        one, many = marks(id_of(message)[0]), marks(id_of(message)[-1])
        first, *others = map(marks, catalogues.translations(message))
        # The singular may leave out the number; in Portuguese, 0 is singular too.
        if first not in (one, many) or any(found != many for found in others):
            wrong.append(message.id)
    assert wrong == []


@pytest.mark.parametrize("locale", catalogues.LOCALES)
def test_a_translation_ends_and_is_spaced_as_its_text(locale: str) -> None:
    def frame(text: str) -> tuple[bool, bool, str]:
        return text[0].isspace(), text[-1].isspace(), text[-1] if text[-1] in ".:…" else ""

    assert [
        message.id
        for message in messages(locale)
        if any(frame(text) != frame(id_of(message)[0]) for text in catalogues.translations(message))
    ] == []


@pytest.mark.parametrize("locale", catalogues.LOCALES)
def test_a_catalogue_is_compiled(locale: str) -> None:
    compiled = catalogues.path_of(locale, ".mo").read_bytes()
    assert compiled == catalogues.mo_of(catalogues.read(locale)), ADVICE
