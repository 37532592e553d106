"""The inbox in Brazilian Portuguese: a browser shows words of the catalogues only, and local dates and numbers."""

import re
from io import BytesIO
from pathlib import Path

import django
import pytest
from babel.messages.pofile import read_po
from django.conf import settings
from playwright.sync_api import Page, expect

from conversations.models import Conversation
from tests.browser.conftest import MILLISECONDS, OpenPage
from tests.browser.pages import a_superuser
from tests.conversations.rows import NOON, a_chat, a_contact, a_group, a_message, an_instance
from tests.languages.page_texts import PageTexts

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]
expect.set_options(timeout=MILLISECONDS)
DATA = {"WhatsAI", "root"}  # the other names and texts of the test have digits


def portuguese_words() -> set[str]:
    """Return the words of all translations, of the project and of Django's admin."""
    folders = (Path(settings.BASE_DIR, "whatsai"), *(Path(django.__file__).parent / "contrib").iterdir())
    words: set[str] = set()
    for folder in (*folders, Path(django.__file__).parent / "conf"):
        path = folder / "locale" / "pt_BR" / "LC_MESSAGES" / "django.po"
        for message in read_po(BytesIO(path.read_bytes())) if path.exists() else ():
            texts = [message.string or ""] if isinstance(message.string, str | None) else message.string
            words |= {word for text in texts for word in words_of(text)} if message.id else set()
    return words


def words_of(text: str) -> list[str]:
    return [word.lower() for word in re.findall(r"(?<![\w.%(-])[^\W\d_]{2,}(?![\w-])", text)]


def english_words(page: Page, portuguese: set[str]) -> set[str]:
    shown = {word for text in PageTexts(page.content()).found for word in words_of(text)}
    return shown - portuguese - {word.lower() for word in DATA}


def test_each_word_is_portuguese_and_dates_and_numbers_are_local(open_page: OpenPage) -> None:
    root = a_superuser()
    shop = an_instance(name="loja-1", profile_name="Loja1", labels={"1": {"name": "Urgente1"}})
    chat = a_chat(shop, contact=a_contact(shop, name="Ana1"), labels={"1": True}, is_pinned=True)
    group = a_group(shop, name="Grupo1", muted_until=NOON.replace(year=2100))
    for kind in ("text", "image", "audio", "document", "location", "contact", "poll", "order", "unsupported"):
        a_message(chat, kind=kind, text="")
    a_message(chat, text="t1" * 6000, from_me=True, status=3, edited_at=NOON)
    a_message(group, text="g1", is_deleted=True)
    for one in (chat, group):
        Conversation.objects.recount(one.pk)
    Conversation.objects.filter(pk=chat.pk).update(unread_count=1234)
    portuguese, found = portuguese_words(), {}

    page = open_page("/admin/inbox/", root, locale="pt-BR")
    for path in ("", "?state=groups", "?state=archived", "?q=t1", "?q=nada1", f"{chat.pk}/", f"{group.pk}/"):
        page.goto(f"/admin/inbox/{path}")
        if words := english_words(page, portuguese):
            found[path] = words
    assert found == {}
    english = open_page("/admin/inbox/", root, locale="en-US")
    assert {"archive", "unread"} <= english_words(english, portuguese)  # such words would be found

    page.goto(f"/admin/inbox/{chat.pk}/")
    expect(page.locator("html")).to_have_attribute("lang", "pt-br")
    expect(page.locator(".chat-time", has_text="01/03/2026").first).to_be_visible()
    expect(page.locator(".thread-head .chat-count")).to_contain_text("1.234")
    expect(page.locator(".thread")).to_contain_text("1 de Março de 2026")
    expect(page.locator(".thread")).to_contain_text("(12.000 caracteres)")
