"""Every text of ours is marked for translation, in the templates and on each page of the admin.

The pages are rendered in a pseudo-language, in which each translated text stands in brackets. What stands outside of
them is data, or a text that nobody can translate.
"""

import re
from http import HTTPStatus
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client

from tests.conversations.admin.test_every_page import FOREIGN, OWN, VISITORS, House, a_house, log_in, pages
from tests.languages import extraction
from tests.languages.page_texts import PageTexts

# Words that are the same in every language: names, words of dates, what Django itself does not translate, and values
# that machines write.
NAMES = {
    *("WhatsAI", "WhatsApp", "API", "ana", "de", "às", "Search", "True", "False", "None"),
    *("call", "error", "messages.upsert"),
}

_PUNCTUATION = ".,:;()[]“”…·»«↑↓"


def unmarked(page: str) -> set[str]:
    """Return the words on a page that are neither marked nor data; data of the tests contain a hyphen or digits."""
    words = {word.strip(_PUNCTUATION) for text in PageTexts(page).found for word in text.split()}
    return {word for word in words if re.fullmatch(r"[^\W\d_]{2,}", word)} - NAMES


@pytest.mark.once
@pytest.mark.django_db
def test_each_text_on_the_pages_of_the_admin_is_marked(pseudo_language: str) -> None:
    houses: tuple[House, House] = a_house(OWN), a_house(FOREIGN)
    visitor = VISITORS["superuser"]
    client = log_in(visitor, houses[0])
    urls = [url for url, _ in pages(*houses, visitor) if "?" not in url and "/password/" not in url]
    found = {url: texts_of(client, url, pseudo_language) for url in urls}
    assert {url: words for url, words in found.items() if words} == {}


def texts_of(client: Client, url: str, language: str) -> set[str]:
    answer = client.get(url, headers={"Accept-Language": language})
    is_page = answer.status_code == HTTPStatus.OK and answer["Content-Type"].startswith("text/html")
    return unmarked(answer.content.decode()) if is_page else set()


_TAGS = re.compile(
    r"{% block (?:\w*class|coltype) %}.*?{% endblock %}|{%\s*blocktranslate.*?%}.*?{%\s*endblocktranslate\s*%}"
    r"|{%.*?%}|{{.*?}}|{#.*?#}",
    re.DOTALL,
)


@pytest.mark.parametrize(
    "path", list(extraction.files("*.html")), ids=lambda path: str(path.relative_to(settings.BASE_DIR))
)
def test_each_text_in_a_template_is_marked(path: Path) -> None:
    page = _TAGS.sub(" ", path.read_text())
    assert unmarked(page) == set()
