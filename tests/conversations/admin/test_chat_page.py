import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from conversations.admin import chat_page as chats
from conversations.models import Contact, Conversation, Message
from tests.conversations.admin.conftest import START


def say(chat: Conversation, count: int, *, first: int = 0, **fields: Any) -> None:
    for i in range(first, first + count):
        at = START + dt.timedelta(hours=1, minutes=i)
        values = {"from_me": False, "kind": "text", "text": f"nº {i:03}", "sender": chat.contact, **fields}
        Message.objects.create(
            instance=chat.instance, conversation=chat, key_id=f"K{chat.pk}-{i:03}", timestamp=at, **values
        )


def texts(read: chats.ChatPage) -> list[str]:
    return [segment.text for day in read.days for bubble in day.bubbles for segment in bubble.text]


def test_the_latest_messages_come_first_and_cursors_lead_away_and_back(chat: Conversation) -> None:
    say(chat, 119)
    latest = chats.read(chat)
    assert texts(latest) == [f"nº {i:03}" for i in range(69, 119)]
    assert latest.newer == ""
    older = chats.read(chat, latest.older)
    assert texts(older) == [f"nº {i:03}" for i in range(19, 69)]
    assert texts(chats.read(chat, older.newer)) == texts(latest)
    oldest = chats.read(chat, older.older)
    assert texts(oldest) == ["Bom dia 000", *(f"nº {i:03}" for i in range(19))]
    assert oldest.older == ""


@pytest.mark.parametrize("cursor", ["x", "Zm9v", "é", "0" * 9999])
def test_a_cursor_that_is_none_shows_the_latest(chat: Conversation, cursor: str) -> None:
    read = chats.read(chat, cursor)
    assert read.is_lost
    assert texts(read) == ["Bom dia 000"]


def test_a_group_of_many_is_read_by_as_many_queries_as_one_of_few(chat: Conversation) -> None:
    group = Conversation.objects.create(instance=chat.instance, kind="group", jid="1@g.us")
    taken: list[int] = []
    for people in (2, 30):
        for i in range(people):
            jid = f"55219{people:04}{i:04}@s.whatsapp.net"
            sender, _ = Contact.objects.upsert(chat.instance, jid, name=f"Rui {i}")
            Message.objects.create(
                instance=chat.instance, conversation=group, key_id=f"{people}-{i}", timestamp=START, from_me=False,
                kind="text", text="oi", sender=sender, reactions={sender.addresses.get().key: {"emoji": "👍", "at": 1}},
            )  # fmt: skip
        with CaptureQueriesContext(connection) as queries:
            read = chats.read(Conversation.objects.select_related("instance").get(pk=group.pk))
        taken.append(len(queries))
        bubbles = read.days[0].bubbles
        assert all(bubble.reactions[0].people == (bubble.author,) for bubble in bubbles)
    assert taken[0] == taken[1]
