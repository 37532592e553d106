"""The pages of the inbox: what they show, to whom, and with how many queries."""

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from conversations.evolution.media_names import media_name
from conversations.models import Conversation, Instance, ReadingRecord
from tests.conversations.admin.conftest import START, Populate, StaffClient, add_messages
from tests.conversations.rows import a_message

pytestmark = pytest.mark.django_db
INBOX = "/admin/inbox/"
PERMISSIONS = ("view_conversation", "view_message", "change_conversation")


@pytest.fixture
def chat(chat: Conversation) -> Conversation:
    """Return the only conversation, which is in the list."""
    return Conversation.objects.change(chat.pk, is_archived=False)


def page_of(row: Conversation, query: str = "") -> str:
    return reverse("admin:inbox_conversation", args=[row.pk]) + query


def text_of(client: Client, url: str) -> str:
    response = client.get(url)
    assert response.status_code == 200
    return response.content.decode()


def texts(page: str) -> list[str]:
    return re.findall(r'<p class="bubble-text" dir="auto">([^<]*)</p>', page)


def test_a_conversation_opens_beside_the_list(admin_client: Client, populate: Populate) -> None:
    populate(4)
    chats = Conversation.objects.filter(is_archived=False).order_by("-last_message_at")
    page = text_of(admin_client, page_of(chats[0]))
    assert re.findall(r'id="chat-(\d+)"', page) == [str(chat.pk) for chat in chats]
    assert re.findall(r'class="chat-link" href="([^"#]*)[^>]*aria-current="page"', page) == [page_of(chats[0])]
    assert texts(page) == [chats[0].last_message_text]


def test_it_opens_at_the_first_unread_message(admin_client: Client, chat: Conversation) -> None:
    add_messages(chat, 130)
    unread = chat.messages.order_by("timestamp")[60]
    before = chat.messages.order_by("timestamp")[59]
    Conversation.objects.filter(pk=chat.pk).update(unread_count=70, read_until=before.timestamp)
    page = text_of(admin_client, page_of(chat))
    assert re.search(rf'id="unread">.*?</p>\s*<article [^>]*id="message-{unread.pk}"', page, re.DOTALL)
    assert texts(page)[-1] == "nº 129"
    assert "Newer messages" not in page
    assert re.search(rf'href="{page_of(chat)}[^"]*#unread"', page), "the list leads to it"


def test_older_and_newer_pages_lead_to_every_message(admin_client: Client, chat: Conversation) -> None:
    add_messages(chat, 120)
    page = text_of(admin_client, page_of(chat))
    found = texts(page)
    while older := re.search(r'id="older"><a href="([^"]+)"', page):
        page = text_of(admin_client, older[1])
        found = texts(page) + found
    assert found == ["Bom dia 000", *(f"nº {n:03}" for n in range(120))]
    while newer := re.search(r'id="newer"><a href="([^"#]+)#older"', page):
        page = text_of(admin_client, newer[1])
    assert texts(page)[-1] == "nº 119"


def test_a_message_opens_among_those_around_it(admin_client: Client, chat: Conversation) -> None:
    add_messages(chat, 120)
    middle = chat.messages.order_by("timestamp")[61]
    page = text_of(admin_client, page_of(chat, f"?at={middle.pk}"))
    assert texts(page) == [f"nº {n:03}" for n in range(35, 86)]
    assert "Newer messages" in page


def test_a_quote_leads_to_the_quoted_message_on_another_page(admin_client: Client, chat: Conversation) -> None:
    first = chat.messages.get()
    add_messages(chat, 60)
    reply = a_message(chat, quoted_key_id=first.key_id, quoted_text="Bom dia", timestamp=START.replace(hour=20))
    page = text_of(admin_client, page_of(chat))
    link = re.search(r'<a href="([^"]+quoted=\d+)"', page)
    assert link
    answer = admin_client.get(link[1])
    assert answer["Location"] == page_of(chat, f"?at={first.pk}#message-{first.pk}")
    assert texts(text_of(admin_client, answer["Location"]))[0] == "Bom dia 000"
    assert admin_client.get(page_of(chat, f"?quoted={first.pk}"))["Location"] == page_of(chat), "it quotes nothing"
    assert admin_client.get(page_of(chat, f"?quoted={reply.pk}x"))["Location"] == page_of(chat)


def test_a_quote_leads_nobody_to_a_message_who_may_not_view_messages(
    chat: Conversation, staff_client: StaffClient
) -> None:
    reply = a_message(chat, quoted_key_id=chat.messages.get().key_id, quoted_text="Bom dia")
    client = staff_client("view_conversation")
    assert client.get(page_of(chat, f"?quoted={reply.pk}")).status_code == 200
    assert client.get(page_of(chat, f"?at={reply.pk}")).status_code == 200


@pytest.mark.parametrize("query", ["?at=x", "?at=999999999999999999999", "?page=x", "?page=latest", "?after=x"])
def test_wrong_places_show_the_newest_messages(admin_client: Client, chat: Conversation, query: str) -> None:
    assert texts(text_of(admin_client, page_of(chat, query))) == ["Bom dia 000"]


def test_a_message_of_another_conversation_is_not_opened(admin_client: Client, populate: Populate) -> None:
    populate(2)
    one, other = Conversation.objects.order_by("pk")
    assert texts(text_of(admin_client, page_of(one, f"?at={other.messages.get().pk}"))) == ["Bom dia 000"]


def test_search_finds_people_and_messages(admin_client: Client, chat: Conversation) -> None:
    add_messages(chat, 3, text="o pedido <b> chegou")
    page = text_of(admin_client, f"{INBOX}?q=pedido")
    hits = re.findall(rf'href="{page_of(chat)}\?q=pedido&amp;at=(\d+)#message-(\d+)"', page)
    assert len(hits) == 3
    assert all(at == anchor for at, anchor in hits)
    assert "o <mark>pedido</mark> &lt;b&gt; chegou" in page
    assert f'id="chat-{chat.pk}"' not in page
    for name in ("ana", "(11) 99900-0000", "551199900"):
        assert f'id="chat-{chat.pk}"' in text_of(admin_client, f"{INBOX}?q={name}"), name


def test_states_numbers_and_labels_choose_conversations(admin_client: Client, populate: Populate) -> None:
    populate(6)
    chats = list(Conversation.objects.order_by("pk"))
    Instance.objects.filter(pk=chats[1].instance_id).update(labels={"7": {"name": "Urgent"}})
    Conversation.objects.filter(pk=chats[1].pk).update(labels={"7": True})

    def found(query: str) -> set[int]:
        shown = re.findall(r'id="chat-(\d+)"', text_of(admin_client, INBOX + query))
        return {[chat.pk for chat in chats].index(int(pk)) for pk in shown}

    assert found("") == {1, 2, 3, 4}
    assert found("?state=unread") == {1, 2, 4}
    assert found("?state=pinned") == {0, 2, 4}
    assert found("?state=archived") == {0, 5}
    assert found("?state=groups") == set()
    assert found(f"?number={chats[2].instance_id}") == {2}
    assert found(f"?number={chats[1].instance_id}&label=7") == {1}
    assert found(f"?number={chats[1].instance_id}&label=8") == set()
    assert found("?number=99999") == set()


def test_the_drop_down_offers_each_number_and_marks_the_chosen_one(admin_client: Client, populate: Populate) -> None:
    populate(2)
    first, second = Instance.objects.order_by("name")
    second.profile_name = "<b>Centro</b>"
    second.save()
    page = text_of(admin_client, f"{INBOX}?number={first.pk}&state=unread")
    assert (
        f'<li><a href="?number={first.pk}&amp;state=unread" aria-current="true"><bdi>loja-000</bdi>'
        f" <small>+551140000000</small></a></li>\n"
        f'<li><a href="?number={second.pk}&amp;state=unread"><bdi>&lt;b&gt;Centro&lt;/b&gt;</bdi>'
        f" <small>+551140000001</small></a></li>"
    ) in page


def test_the_list_has_pages(admin_client: Client, chat: Conversation) -> None:
    copies = [
        Conversation(instance=chat.instance, kind="group", jid=f"{n}@g.us", last_message_at=START) for n in range(60)
    ]
    Conversation.objects.bulk_create(copies)
    page = text_of(admin_client, INBOX)
    older = re.search(r'href="([^"]+after=[^"]+)">Older conversations', page)
    assert older
    second = text_of(admin_client, older[1].replace("&amp;", "&"))
    pks = [re.findall(r'id="chat-(\d+)"', text) for text in (page, second)]
    assert (len(pks[0]), len({*pks[0], *pks[1]})) == (50, 61)


def test_parts_are_the_same_as_in_the_page(admin_client: Client, chat: Conversation) -> None:
    page = text_of(admin_client, page_of(chat))
    for part in ("list", "thread"):
        text = text_of(admin_client, page_of(chat, f"?part={part}"))
        assert "<html" not in text
        for live in re.findall(r'<(?:ul|div|header) class="[^"]+" id="(\w[\w-]+)" data-live>', text):
            assert f'id="{live}" data-live' in page


def test_media_are_played_in_the_page(admin_client: Client, chat: Conversation) -> None:
    file = media_name(chat.instance_id, "ab" * 32)
    kinds = ("image", "audio", "video", "document")
    rows = [a_message(chat, timestamp=START, kind=kind, media={"file": file}) for kind in kinds]
    page = text_of(admin_client, page_of(chat))
    image, audio, video, document = (f"/api/v1/messages/{row.pk}" for row in rows)
    assert re.search(rf'<a href="{image}/media"[^>]*><img [^>]*src="{image}/media"', page)
    assert re.search(rf'<audio [^>]*src="{audio}/media" controls', page)
    assert re.search(rf'<video [^>]*src="{video}/media" controls', page)
    assert f'<a href="{document}/media"' in page


def test_a_picture_has_its_size_and_no_words_about_it(admin_client: Client, chat: Conversation) -> None:
    media = {"file": media_name(chat.instance_id, "ab" * 32), "mimetype": "image/jpeg", "width": 1200, "height": 1600}
    a_message(chat, timestamp=START, kind="image", media=media)
    page = text_of(admin_client, page_of(chat))
    assert re.search(r'<img class="bubble-picture"[^>]* width="240" height="320">', page)
    assert "image/jpeg" not in page


def test_the_length_of_a_voice_message_is_shown(admin_client: Client, chat: Conversation) -> None:
    media = {"file": media_name(chat.instance_id, "ab" * 32), "seconds": 75}
    a_message(chat, timestamp=START, kind="audio", media=media)
    assert "<span>1:15</span>" in text_of(admin_client, page_of(chat))


def test_nothing_inline_runs_or_is_styled(admin_client: Client, chat: Conversation) -> None:
    page = text_of(admin_client, page_of(chat))
    assert "<style" not in page
    assert not re.search(r'\s(?:style|on\w+)="', page)
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", page))


# --- access -----------------------------------------------------------------------------------------------------------
def test_who_may_not_see_conversations_gets_no_page(staff_client: StaffClient, chat: Conversation) -> None:
    client = staff_client("view_message")
    assert [client.get(url).status_code for url in (INBOX, page_of(chat))] == [403, 403]


def test_who_may_not_see_messages_sees_names_alone(staff_client: StaffClient, chat: Conversation) -> None:
    client = staff_client("view_conversation")
    for url in (INBOX, page_of(chat), f"{INBOX}?q=bom", f"{INBOX}?q=ana", page_of(chat, f"?at={chat.last_message_id}")):
        page = text_of(client, url)
        assert "Bom dia" not in page
    assert not ReadingRecord.objects.exists()


def test_who_may_not_change_conversations_has_no_buttons(staff_client: StaffClient, chat: Conversation) -> None:
    client = staff_client("view_conversation", "view_message")
    assert 'name="action"' not in text_of(client, page_of(chat))
    assert client.post(f"{INBOX}actions/", {"action": "pin", "pk": chat.pk}).status_code == 403


def test_anonymous_people_log_in_first(client: Client, chat: Conversation) -> None:
    for url in (INBOX, page_of(chat)):
        assert client.get(url)["Location"].startswith("/admin/login/")


def test_the_page_is_in_the_menu_of_who_may_open_it(staff_client: StaffClient, chat: Conversation) -> None:  # noqa: ARG001 - creates rows
    assert f'href="{INBOX}"' in text_of(staff_client("view_conversation"), "/admin/")


# --- records ----------------------------------------------------------------------------------------------------------
def test_looks_are_recorded_once_in_some_minutes(admin_client: Client, chat: Conversation) -> None:
    for _ in range(3):
        text_of(admin_client, page_of(chat))
        text_of(admin_client, page_of(chat, "?part=thread"))
    found = ReadingRecord.objects.order_by("row_pk").values_list("page", "conversation_pk", "row_pk")
    assert sorted(found, key=str) == [("inbox", chat.pk, chat.pk), ("inbox", chat.pk, None)]
    ReadingRecord.objects.update(read_at=START)
    text_of(admin_client, page_of(chat))
    assert ReadingRecord.objects.count() == 4


# --- queries ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("query", ["", "?q=bom", "?state=unread", "?part=thread"])
def test_the_number_of_queries_does_not_depend_on_the_rows(
    staff_client: StaffClient, populate: Populate, query: str
) -> None:
    counts: list[int] = []
    populate(3)
    client: Any = staff_client(*PERMISSIONS)
    chat = Conversation.objects.order_by("pk")[1]
    for number in (0, 40):
        add_messages(chat, number)
        populate(number // 2)
        ReadingRecord.objects.all().delete()
        with CaptureQueriesContext(
            connection,
        ) as queries:
            text_of(client, page_of(chat, query))
        counts.append(len(queries))
    assert counts[1] <= counts[0] + 1
