import datetime as dt

import pytest
from pytest_django import DjangoAssertNumQueries

from conversations.models import Message
from tests.conversations.rows import NOON, a_chat, a_message, an_instance

pytestmark = pytest.mark.django_db


def at(minute: int) -> dt.datetime:
    return NOON + dt.timedelta(minutes=minute)


def test_a_conversations_messages_are_ordered_by_whatsapps_time_latest_first() -> None:
    instance = an_instance()
    chat, other = a_chat(instance), a_chat(instance)
    late, early, middle = (a_message(chat, timestamp=at(n)) for n in (9, 1, 5))
    a_message(other, timestamp=at(7))
    assert Message.objects.for_conversation(chat).rows == [late, middle, early]
    assert Message.objects.for_conversation(chat.pk, limit=2).rows == [late, middle]


def test_messages_with_the_same_time_are_ordered_by_key_id() -> None:
    chat = a_chat(an_instance())
    one, two, three = (a_message(chat, timestamp=NOON, key_id=key) for key in ("B", "C", "A"))
    assert Message.objects.for_conversation(chat).rows == [two, one, three]


def test_an_instances_messages_are_those_of_all_its_conversations() -> None:
    one, two = an_instance(), an_instance()
    early, late = a_message(a_chat(one), timestamp=at(1)), a_message(a_chat(one), timestamp=at(3))
    elsewhere = a_message(a_chat(two), timestamp=at(2))
    assert Message.objects.for_instance(one).rows == [late, early]
    assert Message.objects.for_instance(None).rows == [late, elsewhere, early]


def test_messages_are_filtered_by_kind_and_direction() -> None:
    instance = an_instance()
    chat = a_chat(instance)
    image = a_message(chat, kind="image", timestamp=at(2))
    outbound = a_message(chat, from_me=True, timestamp=at(1))
    assert Message.objects.for_instance(instance, kind="image").rows == [image]
    assert Message.objects.for_instance(instance, from_me=True).rows == [outbound]
    assert Message.objects.for_instance(instance, from_me=False).rows == [image]
    assert Message.objects.for_instance(instance, kind="image", from_me=True).rows == []


def test_each_page_takes_one_query(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    chat = a_chat(an_instance())
    a_message(chat)
    with django_assert_num_queries(2):
        Message.objects.for_conversation(chat)
        Message.objects.for_instance(chat.instance_id)


def test_upsert_identifies_a_message_by_key_id_and_direction() -> None:
    chat = a_chat(an_instance())
    fields = {"timestamp": NOON, "kind": "text"}
    message, created = Message.objects.upsert(chat, "3EB0", from_me=False, text="oi", **fields)
    same, created_again = Message.objects.upsert(chat, "3EB0", from_me=False, text="olá", **fields)
    outbound, created_outbound = Message.objects.upsert(chat, "3EB0", from_me=True, **fields)
    assert (created, created_again, created_outbound) == (True, False, True)
    assert same == message != outbound
    message.refresh_from_db()
    assert (message.text, message.instance_id) == ("olá", chat.instance_id)


def test_delete_returns_whether_the_row_existed() -> None:
    message = a_message(a_chat(an_instance()))
    assert Message.objects.delete(message.pk)
    assert not Message.objects.delete(message.pk)


def test_upsert_and_delete_update_the_conversations_last_message_and_unread_count() -> None:
    chat = a_chat(an_instance())

    def summary() -> tuple[str, int, bool]:
        chat.refresh_from_db()
        return chat.last_message_text, chat.unread_count, chat.last_message is None

    first, _ = Message.objects.upsert(chat, "A", from_me=False, timestamp=NOON, kind="text", text="oi")
    assert summary() == ("oi", 1, False)
    later = NOON + dt.timedelta(minutes=1)
    second, _ = Message.objects.upsert(chat, "B", from_me=False, timestamp=later, kind="text", text="tudo bem?")
    assert summary() == ("tudo bem?", 2, False)
    Message.objects.delete(second.pk)
    assert summary() == ("oi", 1, False)
    Message.objects.delete(first.pk)
    assert summary() == ("", 0, True)
