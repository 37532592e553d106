import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from conversations.admin.chat_page import ChatPage, load_chat_page
from conversations.models import Contact, Conversation, Message
from tests.conversations.admin.conftest import START, add_messages


def texts(page: ChatPage) -> list[str]:
    return [piece.text for day in page.days for message in day.messages for piece in message.text]


def test_the_first_page_has_the_latest_messages_and_cursors_lead_to_the_others(chat: Conversation) -> None:
    add_messages(chat, 119)
    latest = load_chat_page(chat)
    assert texts(latest) == [f"nº {i:03}" for i in range(69, 119)]
    assert latest.newer_cursor == ""
    older = load_chat_page(chat, latest.older_cursor)
    assert texts(older) == [f"nº {i:03}" for i in range(19, 69)]
    assert texts(load_chat_page(chat, older.newer_cursor)) == texts(latest)
    oldest = load_chat_page(chat, older.older_cursor)
    assert texts(oldest) == ["Bom dia 000", *(f"nº {i:03}" for i in range(19))]
    assert oldest.older_cursor == ""


@pytest.mark.parametrize("cursor", ["x", "Zm9v", "é", "0" * 9999])
def test_an_invalid_cursor_selects_the_latest_messages(chat: Conversation, cursor: str) -> None:
    page = load_chat_page(chat, cursor)
    assert page.is_cursor_invalid
    assert texts(page) == ["Bom dia 000"]


def test_the_number_of_queries_does_not_depend_on_the_number_of_senders(chat: Conversation) -> None:
    group = Conversation.objects.create(instance=chat.instance, kind="group", jid="1@g.us")
    query_counts: list[int] = []
    for people in (2, 30):
        for i in range(people):
            jid = f"55219{people:04}{i:04}@s.whatsapp.net"
            sender, _ = Contact.objects.upsert(chat.instance, jid, name=f"Rui {i}")
            Message.objects.create(
                instance=chat.instance, conversation=group, key_id=f"{people}-{i}", timestamp=START, from_me=False,
                kind="text", text="oi", sender=sender, reactions={str(sender.pk): {"emoji": "👍", "at": 1}},
            )  # fmt: skip
        with CaptureQueriesContext(connection) as queries:
            page = load_chat_page(Conversation.objects.select_related("instance").get(pk=group.pk))
        query_counts.append(len(queries))
        messages = page.days[0].messages
        assert all(message.reactions[0].people == (message.author,) for message in messages)
    assert query_counts[0] == query_counts[1]
