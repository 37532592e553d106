"""A pseudo-language, in which each translated text stands in brackets: a text outside of them is not marked."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import django
import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

from tests.languages import catalogues, extraction
from tests.languages.page_texts import BEGIN, END


def django_texts() -> Iterator[tuple[str, Any]]:
    for path in sorted(Path(django.__file__).parent.glob("**/locale/en/LC_MESSAGES/django.po")):
        with path.open("rb") as file:
            yield from ((message.context or "", message.id) for message in read_po(file, locale="en") if message.id)


def marked(text: str) -> str:
    return f"{BEGIN}{text}{END}"


@pytest.fixture
def pseudo_language(tmp_path: Path, settings: Any) -> str:
    """Replace Portuguese by a language in which each text is the English one in brackets."""
    catalogue = catalogues.with_header(Catalog("pt_BR", fuzzy=False))
    for context, text in {*extraction.texts(), *django_texts()}:
        string = marked(text) if isinstance(text, str) else tuple(map(marked, text))
        catalogue.add(text, string, context=context or None)
    path = tmp_path / "pt_BR" / "LC_MESSAGES" / "django.mo"
    path.parent.mkdir(parents=True)
    path.write_bytes(catalogues.mo_of(catalogue))
    settings.LOCALE_PATHS = [tmp_path]
    return "pt-br"
