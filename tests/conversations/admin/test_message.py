import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client, RequestFactory

from conversations.admin.message import MessageAdmin
from conversations.models import Conversation, Message
from tests.conversations.admin.conftest import Populate
from tests.conversations.admin.pages import list_url, page_url
from tests.conversations.rows import a_chat, a_message, an_instance


def test_the_page_shows_all_fields_of_a_message(admin_client: Client, chat: Conversation) -> None:
    Message.objects.update(
        media={"mimetype": "image/png"}, details={"is_forwarded": True}, quoted_text="antes", original_text="Bom dai",
        reactions={"me": {"emoji": "👍", "who": "me", "at": 1}}, is_deleted=True,
        poll_results={"me": {"options": [], "who": "me", "at": 1}},
    )  # fmt: skip
    content = admin_client.get(page_url(Message.objects.get())).content.decode()
    for text in ("3EB00", "Bom dia 000", "image/png", "is_forwarded", "antes", "Bom dai", "👍", "options"):
        assert text in content
    assert page_url(chat) in content
    assert 'name="_save"' not in content


def test_the_list_shows_a_preview_of_the_text(admin_client: Client, chat: Conversation) -> None:
    Message.objects.update(kind="image", text="x" * 200, is_deleted=True, sender_name="Aninha")
    content = admin_client.get(list_url(Message)).content.decode()
    assert f"🗑 🖼 {'x' * 80}…" in content
    assert "x" * 81 not in content
    assert "Aninha" in content
    assert chat.name in content


def test_the_list_reads_the_beginning_of_texts_alone(rf: RequestFactory, admin_user: User) -> None:
    request = rf.get("/")
    request.user = admin_user
    a_message(a_chat(an_instance()), text="x" * 1000)
    row = MessageAdmin(Message, admin.site).get_queryset(request).get()
    assert "text" in row.get_deferred_fields()
    assert len(row.text_beginning) < 100


@pytest.mark.parametrize(
    ("term", "row_count"), [("dia 001", 1), ("DIA 001", 1), ("3EB01", 1), ("3EB", 0), ("adeus", 0)]
)
def test_a_message_is_found_by_part_of_its_text_or_by_its_complete_id(
    admin_client: Client, populate: Populate, term: str, row_count: int
) -> None:
    populate(3)
    content = admin_client.get(list_url(Message), {"q": term}).content.decode()
    assert content.count('class="field-timestamp') == row_count
