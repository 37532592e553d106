"""The inbox as staff use it: find, read, mark as read, and follow conversations in several windows."""

import datetime as dt
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import expect

from conversations.admin.inbox.thread import MESSAGES_AFTER_UNREAD, MESSAGES_AROUND
from conversations.models import Conversation, Instance, Message
from tests.browser.conftest import MILLISECONDS, OpenPage, log_in
from tests.browser.pages import a_superuser, serious_problems
from tests.conversations.rows import a_chat, a_contact, a_group, a_message, an_instance

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]
INBOX = "/admin/inbox/"
expect.set_options(timeout=MILLISECONDS)


@pytest.fixture
def root() -> User:
    return a_superuser()


@pytest.fixture
def shop() -> Instance:
    labels = {"1": {"name": "Urgent"}}
    return an_instance(name="shop", profile_name="Shop", owner_jid="551140000000@s.whatsapp.net", labels=labels)


def chat_of(shop: Instance, name: str, *texts: str, **fields: Any) -> Conversation:
    """Create a conversation with messages, of which the last one is now."""
    chat = a_chat(shop, contact=a_contact(shop, name=name))
    for place, text in enumerate(reversed(texts)):
        say(chat, text, minutes_ago=place, **fields)
    Conversation.objects.recount(chat.pk)
    return Conversation.objects.get(pk=chat.pk)


def say(chat: Conversation, text: str, *, minutes_ago: int = 0, **fields: Any) -> Message:
    """Add a message, as ingestion does."""
    time = timezone.now() - dt.timedelta(minutes=minutes_ago)
    return a_message(chat, text=text, timestamp=time, **fields)


def test_staff_find_read_and_mark_a_conversation(open_page: OpenPage, root: User, shop: Instance) -> None:  # noqa: ARG001 - logs in
    ana = chat_of(shop, "Ana Souza", *(f"line {n}" for n in range(40)), "where is my parcel?", "hello?")
    chat_of(shop, "Bruno Lima", "good morning")
    assert ana.contact is not None
    page = open_page(INBOX)
    log_in(page, "root")
    expect(page.locator(".chat")).to_have_count(2)

    page.fill(".search input", f"+{ana.contact.phone}")
    page.press(".search input", "Enter")
    expect(page.locator(".chat-name")).to_have_text(["Ana Souza"])

    page.fill(".search input", "parcel")
    page.press(".search input", "Enter")
    page.click(".hit")
    expect(page.locator(".bubble:target")).to_contain_text("where is my parcel?")
    expect(page.locator(".bubble:target")).to_be_in_viewport()

    page.goto(INBOX)
    page.locator(".chat", has_text="Ana Souza").locator(".chat-link").click()
    expect(page.locator("#unread")).to_be_in_viewport()
    expect(page.locator(".chat-count").first).to_be_visible()
    page.get_by_role("button", name="Mark as read").click()
    expect(page.locator(".thread-head .chat-count")).to_have_count(0)
    expect(page.get_by_text("hello?", exact=True).last).to_be_in_viewport()
    assert Conversation.objects.get(pk=ana.pk).unread_count == 0

    page.locator(".chat", has_text="Bruno Lima").locator(".chat-pick").check()
    page.get_by_role("button", name="Archive").first.click()
    expect(page.locator(".chat-name")).to_have_text(["Ana Souza"])


def test_messages_and_ticks_arrive_in_all_windows(open_page: OpenPage, root: User, shop: Instance) -> None:
    chat, other = chat_of(shop, "Ana", "first"), chat_of(shop, "Bruno", "good morning")
    windows = [open_page(f"{INBOX}{chat.pk}/", root), open_page(f"{INBOX}{chat.pk}/", root, width=390)]
    for page in windows:
        expect(page.locator(".inbox")).to_have_attribute("data-live", "on")
        expect(page.locator(".bubble-text")).to_have_text(["first"])
    archive = windows[0].locator(".thread-head").get_by_role("button", name="Archive")
    archive.focus()
    sent = say(chat, "an answer", from_me=True, status=Message.Status.SENT)
    Conversation.objects.recount(chat.pk)
    for page in windows:
        expect(page.locator(".bubble-text")).to_have_text(["first", "an answer"])
        expect(page.locator(".bubble .delivery")).to_have_attribute("aria-label", "sent")
        expect(page.locator(".bubble").last).to_be_in_viewport()
    Message.objects.filter(pk=sent.pk).update(status=Message.Status.READ)
    for page in windows:
        expect(page.locator(".bubble .delivery")).to_have_attribute("aria-label", "read")
    expect(archive).to_be_focused()  # what has not changed is not replaced
    say(other, "are you there?")
    Conversation.objects.recount(other.pk)
    first = windows[0].locator(".chat").first
    expect(first.locator(".chat-name")).to_have_text("Bruno")
    expect(first.locator(".chat-preview")).to_contain_text("are you there?")
    expect(first.locator(".chat-count")).to_contain_text("2")


@pytest.mark.parametrize("opens_at_message", [True, False], ids=["message", "unread"])
def test_a_window_that_shows_the_newest_message_goes_on_to_do_so(
    open_page: OpenPage, root: User, shop: Instance, *, opens_at_message: bool
) -> None:
    chat = chat_of(shop, "Ana", "first")
    page = open_page(f"{INBOX}{chat.pk}/" + (f"?at={chat.last_message_id}" if opens_at_message else ""), root)
    expect(page.locator(".inbox")).to_have_attribute("data-live", "on")
    for n in range(MESSAGES_AROUND if opens_at_message else MESSAGES_AFTER_UNREAD):
        say(chat, f"line {n}")
    say(chat, "the newest")
    Conversation.objects.recount(chat.pk)
    expect(page.locator(".bubble-text").last).to_have_text("the newest")
    expect(page.locator("#newer")).to_have_count(0)
    say(chat, "one more")
    Conversation.objects.recount(chat.pk)
    expect(page.locator(".bubble-text").last).to_have_text("one more")


def test_the_keyboard_and_a_phone_reach_everything(open_page: OpenPage, root: User, shop: Instance) -> None:
    for n in range(3):
        chat_of(shop, f"Ana {n}", "good morning")
    others = [an_instance(name=f"number-{n}") for n in range(30)]
    page = open_page(INBOX, root)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator(".thread-title bdi").first).to_have_text("Ana 1")
    page.keyboard.press("Escape")
    expect(page.locator(".thread-pane")).to_have_count(0)
    page.keyboard.press("/")
    expect(page.locator(".search input")).to_be_focused()
    page.locator(".picker summary").click()
    page.keyboard.type(others[7].name)
    expect(page.locator(".picker li:visible")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.locator(".picker summary bdi")).to_have_text(others[7].name)
    expect(page.locator(".list-empty")).to_be_visible()

    phone = open_page(INBOX, root, width=390)
    expect(phone.locator(".pane-thread")).to_be_hidden()
    phone.locator(".chat-link").first.click()
    expect(phone.locator(".pane-list")).to_be_hidden()
    expect(phone.locator(".bubble").last).to_be_in_viewport()
    assert phone.evaluate("document.documentElement.scrollWidth") == 390
    phone.locator(".thread-back").click()
    expect(phone.locator(".pane-list")).to_be_visible()
    assert phone.evaluate("document.documentElement.scrollWidth") == 390


def test_axe_finds_nothing_serious(open_page: OpenPage, root: User, shop: Instance) -> None:
    chat = chat_of(shop, "Ana", "first", "second")
    quoted = chat.messages.order_by("timestamp")[0]
    say(chat, "see https://example.org/", quoted_key_id=quoted.key_id, quoted_text="first", from_me=True, status=4)
    say(chat, "deleted", is_deleted=True)
    say(
        chat, "", kind="image", media={"mimetype": "image/png"}, reactions={"me": {"emoji": "🙏", "who": "me", "at": 1}}
    )
    Conversation.objects.filter(pk=chat.pk).update(labels={"1": True}, is_pinned=True)
    say(a_group(shop, name="Team"), "hello all", sender_name="Zé")
    for scheme in ("light", "dark"):
        for width in (1280, 390):
            page = open_page(INBOX, root, width=width, scheme=scheme)
            for path in (INBOX, f"{INBOX}?q=first", f"{INBOX}{chat.pk}/?number={shop.pk}"):
                page.goto(path)
                assert serious_problems(page) == [], f"{scheme}, {width} pixels, {path}"
