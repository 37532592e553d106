"""The cache page as an operator uses it: look at an entry, and clear a namespace after a question."""

import pytest
from django.contrib.admin.models import LogEntry
from playwright.sync_api import expect

from conversations.monitoring import history
from tests.browser.conftest import MILLISECONDS, OpenPage
from tests.browser.pages import a_superuser, serious_problems
from tests.conversations.rows import a_chat, a_message, an_instance
from tests.conversations.stored import is_stored
from tests.waiting import wait_until

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]
PAGE = "/admin/cachelayer/countertotal/"
expect.set_options(timeout=MILLISECONDS)


def test_a_namespace_is_cleared_after_a_question(open_page: OpenPage) -> None:
    message = a_message(a_chat(an_instance()), text="where is my parcel?")
    history.remember()
    page = open_page(PAGE, a_superuser())
    wait_until(lambda: is_stored(message))
    page.select_option("#entry-model", "conversations.message")
    page.fill("#entry-pk", str(message.pk))
    page.get_by_role("button", name="Look at the row").click()
    expect(page.locator(".cache-value")).to_contain_text("where is my parcel?")
    page.goto(PAGE)
    page.get_by_role("link", name="Clear messages").click()
    expect(page.locator("h1", has_text="Clear the namespace messages?")).to_be_visible()
    assert not LogEntry.objects.exists()
    page.get_by_role("button", name="Yes, clear").click()
    expect(page.locator(".messagelist")).to_contain_text("Invalidated all entries of the namespace messages.")
    assert LogEntry.objects.get().object_repr == "namespace: messages"
    page.goto(f"{PAGE}entry/?key=message:{message.pk}")
    expect(page.locator(".entry")).to_contain_text("Readers do not use it")


def test_axe_finds_nothing_serious_on_a_screen_and_a_phone(open_page: OpenPage) -> None:
    user = a_superuser()
    history.remember()
    for scheme in ("light", "dark"):
        for width in (1280, 390):
            page = open_page(PAGE, user, width=width, scheme=scheme)
            for path in (PAGE, f"{PAGE}entry/?key=instance:1", f"{PAGE}clear/?all=1"):
                page.goto(path)
                assert page.evaluate("document.documentElement.scrollWidth") == width, path
                assert serious_problems(page) == [], f"{scheme}, {width} pixels, {path}"
