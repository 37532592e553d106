import datetime as dt
import re
from typing import Any

import pytest
from django.db import connection
from django.db.models.signals import pre_save
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from conversations.evolution.media_names import media_name
from conversations.models import Contact, Conversation, Message, Participant, ReadingRecord
from tests.conversations.admin.conftest import START, Populate, StaffClient, add_messages
from tests.conversations.admin.pages import delete_url, list_url, page_url
from tests.conversations.rows import a_message, add_members

SCRIPT = "<script>alert(1)</script>"


def form_data(**changed: str) -> dict[str, str]:
    return {"muted_until_0": "", "muted_until_1": "", **changed}


def test_the_page_shows_messages_oldest_first_and_links_to_older_and_newer_pages(
    admin_client: Client, chat: Conversation
) -> None:
    add_messages(chat, 60)
    content = admin_client.get(page_url(chat)).content.decode()
    texts = re.findall(r"nº \d{3}", content)
    assert texts == [f"nº {i:03}" for i in range(10, 60)]
    older = re.search(r'href="(\?cursor=[^"]+)">↑ Older', content)
    assert older
    assert "Newer messages" not in content
    content = admin_client.get(page_url(chat) + older[1]).content.decode()
    assert re.findall(r"nº \d{3}", content) == [f"nº {i:03}" for i in range(10)]
    assert "Older messages" not in content
    newer = re.search(r'href="(\?cursor=[^"#]+)#thread-top">↓ Newer', content)
    assert newer
    content = admin_client.get(page_url(chat) + newer[1]).content.decode()
    assert re.findall(r"nº \d{3}", content) == texts


def test_an_invalid_cursor_shows_the_latest_messages_and_a_warning(admin_client: Client, chat: Conversation) -> None:
    content = admin_client.get(page_url(chat), {"cursor": SCRIPT}).content.decode()
    assert "The page link is invalid" in content
    assert "Bom dia 000" in content
    assert SCRIPT not in content


def test_the_thread_shows_pictures_and_links_to_files(admin_client: Client, chat: Conversation) -> None:
    file = media_name(chat.instance_id, "ab" * 32)
    contents: list[dict[str, Any]] = [
        {"kind": "image", "media": {"file": file}},
        {"kind": "audio", "media": {"file": file}},
        {"kind": "image", "media": {"file": file}, "is_deleted": True},
        {"kind": "image", "media": {"file": media_name(chat.instance_id + 1, "ab" * 32)}},
        {"kind": "video", "media": {"thumbnail": file}},
    ]
    rows = [a_message(chat, timestamp=START, **content) for content in contents]
    page = admin_client.get(page_url(chat)).content.decode()
    paths = re.findall(r'(?:src|href)="/api/v1/messages/([^"]+)"', page)
    picture, audio, deleted, _, video = (row.pk for row in rows)
    files = [f"{pk}/media" for pk in (picture, picture, audio, deleted)]
    assert sorted(paths) == sorted([*files, f"{video}/thumbnail"])


def test_an_album_is_one_group_of_bubbles(admin_client: Client, chat: Conversation) -> None:
    details = [{"album_id": "A"}, {"album_id": "A"}, {"quoted_chat": "status@broadcast"}]
    for n, fields in enumerate(details):
        Message.objects.create(
            instance=chat.instance, conversation=chat, key_id=f"K{n}", timestamp=START, from_me=False,
            kind="image", details=fields, quoted_key_id="Q", quoted_text="oi",
        )  # fmt: skip
    content = admin_client.get(page_url(chat)).content.decode()
    album = r'<section class="album album-received" id="album-\d+" aria-label="Album of 2">(.*?)</section>'
    albums = re.findall(album, content, re.DOTALL)
    assert [album.count('class="bubble ') for album in albums] == [2]
    assert "<bdi>Status</bdi>" in content


def test_text_from_whatsapp_is_escaped(admin_client: Client, chat: Conversation) -> None:
    group = Conversation.objects.create(
        instance=chat.instance, kind="group", jid="1@g.us", name=SCRIPT, labels={"1": True, SCRIPT: True}
    )
    chat.instance.labels = {"1": {"name": SCRIPT}}
    chat.instance.save()
    sender, _ = Contact.objects.upsert(chat.instance, "5521999990000@s.whatsapp.net", name=SCRIPT)
    Participant.objects.create(conversation=group, contact=sender, clock="1")
    message = Message.objects.create(
        instance=chat.instance, conversation=group, key_id=SCRIPT, timestamp=START, from_me=False, sender=sender,
        sender_name=SCRIPT, kind="document", text=f"{SCRIPT} https://example.com/{SCRIPT}", original_text=SCRIPT,
        media={"mimetype": SCRIPT, "file_name": SCRIPT, "url": f"javascript:{SCRIPT}", "transcript": SCRIPT},
        details={"note": SCRIPT}, quoted_key_id="K", quoted_sender=SCRIPT, quoted_text=SCRIPT,
        reactions={SCRIPT: {"emoji": SCRIPT, "who": SCRIPT, "at": 1}},
        poll_results={"me": {"options": [SCRIPT], "who": "me", "at": 1}},
    )  # fmt: skip
    Conversation.objects.filter(pk=group.pk).update(
        last_message=message, last_message_at=START, last_message_text=SCRIPT, last_message_kind="text"
    )
    Message.objects.create(
        instance=chat.instance, conversation=group, key_id="P", timestamp=START, from_me=False, kind="poll",
        text=SCRIPT, sender_name=SCRIPT, details={"options": [{"option_name": SCRIPT}]},
    )  # fmt: skip
    for url in (page_url(group), page_url(message), page_url(sender), list_url(Conversation), list_url(Message)):
        content = admin_client.get(url).content.decode()
        assert "<script>alert" not in content
        assert "&lt;script&gt;" in content
        assert 'href="javascript' not in content


def test_only_web_urls_become_links_and_they_send_no_referrer(admin_client: Client, chat: Conversation) -> None:
    add_messages(chat, 1, text="https://example.com/a?b=1&c=2 javascript:alert(1) ftp://example.com")
    content = admin_client.get(page_url(chat)).content.decode()
    link = '<a href="https://example.com/a?b=1&amp;c=2" rel="noopener noreferrer" target="_blank">'
    assert content.count(link) == 1
    assert content.count('target="_blank"') == 1


def test_the_page_has_no_inline_script(admin_client: Client, chat: Conversation) -> None:
    add_messages(chat, 3)
    content = admin_client.get(page_url(chat)).content.decode()
    assert not re.search(r"<script(?![^>]*\bsrc=)[^>]*>", content)
    assert not re.search(r"\son[a-z]+=", content)


def test_a_page_of_fifty_takes_as_many_queries_as_one_of_five(admin_client: Client, chat: Conversation) -> None:
    query_counts = []
    for first, count in ((0, 5), (5, 45)):
        add_messages(chat, count, first=first)
        ReadingRecord.objects.all().delete()
        with CaptureQueriesContext(connection) as queries:
            admin_client.get(page_url(chat))
        query_counts.append(len(queries))
    assert query_counts[0] == query_counts[1]


def test_a_save_writes_only_the_changed_local_fields(admin_client: Client, chat: Conversation) -> None:
    written: list[Any] = []

    def record_fields(update_fields: Any, **_: Any) -> None:
        written.append(set(update_fields))

    Conversation.objects.filter(pk=chat.pk).update(is_archived=False, is_pinned=True)
    pre_save.connect(record_fields, sender=Conversation)
    try:
        data = form_data(
            is_archived="on", is_pinned="on", muted_until_0="2030-01-02", muted_until_1="03:04:05",
            name="forged", unread_count="9", jid="forged", instance="9",
        )  # fmt: skip
        assert admin_client.post(page_url(chat), data).status_code == 302
    finally:
        pre_save.disconnect(record_fields, sender=Conversation)
    assert written == [{"is_archived", "muted_until", "updated_at"}]
    row = Conversation.objects.get()
    assert (row.is_archived, row.is_pinned, row.name, row.unread_count) == (True, True, chat.name, chat.unread_count)
    assert row.muted_until == dt.datetime(2030, 1, 2, 3, 4, 5, tzinfo=timezone.get_current_timezone())


def test_a_name_that_is_given_in_the_form_is_that_of_the_contact(admin_client: Client, chat: Conversation) -> None:
    for given, custom_name in (("Oficina", "Oficina"), ("", None)):
        assert admin_client.post(page_url(chat), form_data(custom_name=given)).status_code == 302
        contact = Contact.objects.get(conversation=chat)
        chat.refresh_from_db()
        assert contact.custom_name == chat.custom_name == custom_name
        assert (contact.name, chat.name) == (custom_name or contact.push_name, custom_name or contact.push_name)


def test_a_form_with_errors_is_shown_with_the_chat(admin_client: Client, chat: Conversation) -> None:
    response = admin_client.post(page_url(chat), form_data(muted_until_0="someday"))
    content = response.content.decode()
    assert "Enter a valid date" in content
    assert "Bom dia 000" in content


def test_users_with_view_permission_cannot_change_or_delete(staff_client: StaffClient, chat: Conversation) -> None:
    Conversation.objects.update(is_archived=False)
    client = staff_client("view_conversation", "view_message")
    assert "Bom dia 000" in client.get(page_url(chat)).content.decode()
    assert client.post(page_url(chat), form_data(is_archived="on")).status_code == 403
    assert client.post(delete_url(chat), {"post": "yes"}).status_code == 403
    assert Conversation.objects.filter(is_archived=False).exists()


def test_messages_are_shown_only_with_the_permission_to_view_messages(
    staff_client: StaffClient, chat: Conversation
) -> None:
    add_messages(chat, 1, text="segredo")
    content = staff_client("view_conversation").get(page_url(chat)).content.decode()
    assert "segredo" not in content
    assert "You need the permission" in content


def test_a_group_shows_its_participants(admin_client: Client, chat: Conversation) -> None:
    group = Conversation.objects.create(instance=chat.instance, kind="group", jid="1@g.us", name="Equipe")
    Participant.objects.create(conversation=group, contact=Contact.objects.get(), clock="1", role="admin")
    content = admin_client.get(page_url(group)).content.decode()
    assert "<bdi>Ana 000</bdi> (Admin)" in content


def test_of_many_participants_and_labels_the_first_are_shown_with_the_number_of_the_others(
    admin_client: Client, chat: Conversation
) -> None:
    labels = {f"{n:04}": True for n in range(1_250)}
    group = Conversation.objects.create(instance=chat.instance, kind="group", jid="1@g.us", labels=labels)
    add_members(group, 102)
    content = admin_client.get(page_url(group)).content.decode()
    assert content.count("<bdi>") == 100
    assert "</bdi> and 2 more" in content
    assert "0099 and 1,150 more" in content


def test_the_list_shows_names_numbers_previews_and_flags(admin_client: Client, chat: Conversation) -> None:
    Conversation.objects.filter(pk=chat.pk).update(
        name="", is_pinned=True, is_archived=True, is_deleted=True, unread_count=7, last_message_from_me=True,
        last_message_kind="image", last_message_text="Férias", muted_until=timezone.now() + dt.timedelta(days=1),
    )  # fmt: skip
    content = admin_client.get(list_url(Conversation)).content.decode()
    for text in ("+5511999000000", "You: 🖼 Férias", "📌", "📥", "🔇", "🗑", '<span class="badge badge-good">7</span>'):
        assert text in content


def test_a_conversation_without_messages_has_no_time_and_no_preview(admin_client: Client, chat: Conversation) -> None:
    Conversation.objects.create(instance=chat.instance, kind="group", jid="1@g.us", name="Vazio")
    Conversation.objects.filter(pk=chat.pk).delete()
    content = admin_client.get(list_url(Conversation)).content.decode()
    assert "1970" not in content
    content = admin_client.get(page_url(Conversation.objects.get())).content.decode()
    assert "1970" not in content
    assert "No messages yet" in content


def test_deleting_a_conversation_deletes_its_messages_without_listing_them(
    admin_client: Client, chat: Conversation
) -> None:
    add_messages(chat, 3)
    with CaptureQueriesContext(connection) as queries:
        content = admin_client.get(delete_url(chat)).content.decode()
    assert "Ana 000" in content
    assert not [query for query in queries if "conversations_message" in query["sql"]]
    assert admin_client.post(delete_url(chat), {"post": "yes"}).status_code == 302
    assert not Conversation.objects.exists()
    assert not Message.objects.exists()


def test_several_conversations_cannot_be_deleted_at_once(admin_client: Client, populate: Populate) -> None:
    populate(2)
    assert "delete_selected" not in admin_client.get(list_url(Conversation)).content.decode()
    data = {"action": "delete_selected", "post": "yes", "_selected_action": [str(Conversation.objects.all()[0].pk)]}
    admin_client.post(list_url(Conversation), data)
    assert Conversation.objects.count() == 2


@pytest.mark.parametrize("term", ["Ana 001", "99900-0001", "+55 (11) 99900 0001"])
def test_a_conversation_is_found_by_name_or_by_a_number_in_any_format(
    admin_client: Client, populate: Populate, term: str
) -> None:
    populate(3)
    content = admin_client.get(list_url(Conversation), {"q": term}).content.decode()
    assert "1 conversation" in content
    assert "Ana 001" in content
