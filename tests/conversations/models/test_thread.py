"""The part of a thread around an anchor."""

import datetime as dt

import pytest

from conversations.models import Conversation, Message
from conversations.models.thread import by_id, first_since, first_unread, newest, quoted_by, read_window
from tests.conversations.rows import NOON, a_chat, a_group, a_message, an_instance

pytestmark = pytest.mark.django_db


def at(second: int) -> dt.datetime:
    return NOON + dt.timedelta(seconds=second)


def a_thread(length: int) -> tuple[Conversation, list[Message]]:
    chat = a_chat(an_instance())
    return chat, [a_message(chat, timestamp=at(n)) for n in range(length)]


@pytest.mark.parametrize("before", [0, 1, 3, 9])
@pytest.mark.parametrize("after", [0, 1, 3, 9])
@pytest.mark.parametrize("position", [0, 2, 4])
def test_a_window_has_the_nearest_messages_on_both_sides(before: int, after: int, position: int) -> None:
    chat, rows = a_thread(5)
    window = read_window(chat, rows[position], before=before, after=after)
    first, last = max(position - before, 0), min(position + after, 4)
    assert window.rows == rows[first : last + 1][::-1]
    assert (window.found_oldest, window.found_newest) == (first == 0, last == 4)
    older = Message.objects.for_conversation(chat, cursor=window.older_cursor).rows if window.older_cursor else []
    newer = Message.objects.for_conversation(chat, cursor=window.newer_cursor).rows
    assert [*newer, *window.rows, *older] == rows[::-1]


def test_a_conversation_without_messages_has_an_empty_window() -> None:
    chat, _ = a_thread(0)
    for anchor in (newest(chat), first_unread(chat), first_since(chat, NOON)):
        window = read_window(chat, anchor, before=1, after=1)
        assert (window.rows, window.found_oldest, window.found_newest) == ([], True, True)


def test_the_anchor_of_a_time_is_the_first_message_from_then_on() -> None:
    chat, rows = a_thread(3)
    for time, expected in ((-1, 0), (0, 0), (1, 1), (2, 2), (3, 2)):
        assert first_since(chat, at(time)) == rows[expected]


def test_the_first_unread_message_is_after_the_read_watermark() -> None:
    chat, rows = a_thread(4)
    assert first_unread(chat) == rows[0]
    chat.read_until = at(1)
    chat.save()
    assert first_unread(chat) == rows[2]
    for row, fields in ((rows[2], {"kind": "notice"}), (rows[3], {"from_me": True})):
        Message.objects.filter(pk=row.pk).update(**fields)
    assert first_unread(chat) == rows[3] == newest(chat)


def test_a_message_of_another_conversation_is_no_anchor() -> None:
    (chat, _), (_, others) = a_thread(1), a_thread(1)
    for find in (by_id, quoted_by):
        for pk in (others[0].pk, 0, 2**63 - 1):
            with pytest.raises(Message.DoesNotExist):
                find(chat, pk)


def test_the_quoted_message_is_found_in_the_same_conversation() -> None:
    chat, rows = a_thread(2)
    elsewhere = a_message(a_group(chat.instance), key_id=rows[0].key_id)
    reply = a_message(chat, quoted_key_id=rows[0].key_id)
    assert quoted_by(chat, reply.pk) == rows[0] != elsewhere
    for quoted in ("", "3EB0UNKNOWN"):
        reply = a_message(chat, quoted_key_id=quoted)
        with pytest.raises(Message.DoesNotExist):
            quoted_by(chat, reply.pk)
