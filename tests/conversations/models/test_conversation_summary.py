import datetime as dt
from typing import Any

import pytest

from conversations.models import EPOCH, Conversation, Message, conversation_summary
from conversations.models.conversation_summary import START
from tests.conversations.rows import NOON, a_chat, a_message, an_instance


def message(**fields: Any) -> Message:
    return Message(**{"key_id": "A", "from_me": False, "timestamp": NOON, "kind": "text", **fields})


def test_messages_are_ordered_by_time_then_order_of_sending_then_key_id_then_direction() -> None:
    ordered = [
        message(key_id="Z"),
        message(key_id="Y", sent_order=5),
        message(key_id="B", sent_order=6),
        message(key_id="B", sent_order=6, from_me=True),
        message(key_id="C", sent_order=6),
        message(key_id="A", timestamp=NOON + dt.timedelta(seconds=1)),
    ]
    keys = [conversation_summary.sort_key(row) for row in ordered]
    assert keys == sorted(keys)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"status": Message.Status.DELIVERED}, START),
        ({"status": Message.Status.READ}, (NOON, 7)),
        ({"from_me": True, "from_device": True}, (NOON, 6)),
        ({"from_me": True, "from_device": False, "status": Message.Status.READ}, START),
    ],
)
def test_read_receipts_and_messages_from_a_device_prove_that_the_conversation_was_read(
    fields: dict[str, Any], expected: conversation_summary.Position
) -> None:
    assert conversation_summary.read_until(message(sent_order=7, **fields)) == expected


@pytest.mark.parametrize(
    ("fields", "conversation_kind", "expected"),
    [
        ({}, "direct", True),
        ({}, "group", True),
        ({"from_me": True}, "direct", False),
        ({"kind": "call"}, "direct", False),
        ({"kind": "supplement"}, "direct", False),
        ({"is_history": True}, "direct", False),
        ({}, "status", False),
        ({}, "broadcast", False),
    ],
)
def test_inbound_messages_other_than_calls_and_status_updates_count_as_unread(
    fields: dict[str, Any], conversation_kind: str, *, expected: bool
) -> None:
    assert conversation_summary.counts_as_unread(message(**fields), conversation_kind) is expected


def test_the_preview_is_cut_and_empty_after_a_deletion() -> None:
    fields = conversation_summary.last_message_fields
    assert fields(message(text="x" * 300))["last_message_text"] == "x" * 255
    assert fields(message(text="x", is_deleted=True))["last_message_text"] == ""
    assert fields(None)["last_message_at"] == EPOCH


@pytest.mark.django_db
def test_recount_computes_the_summary_from_the_messages() -> None:
    chat = a_chat(an_instance(), marked_read_until=NOON)
    seconds = dt.timedelta(seconds=1)
    a_message(chat, timestamp=NOON - seconds)
    a_message(chat, timestamp=NOON + 1 * seconds, status=Message.Status.READ)
    a_message(chat, timestamp=NOON + 2 * seconds)
    a_message(chat, timestamp=NOON + 3 * seconds, kind="call")
    last = a_message(chat, timestamp=NOON + 4 * seconds, text="last")
    row = Conversation.objects.recount(chat.pk)
    assert (row.last_message, row.last_message_text) == (last, "last")
    assert (row.unread_count, row.read_until) == (2, NOON + seconds)


@pytest.mark.django_db
def test_a_supplement_is_shown_as_the_last_message_only_if_there_is_no_other() -> None:
    chat = a_chat(an_instance())
    supplement = a_message(chat, timestamp=NOON + dt.timedelta(seconds=1), kind="supplement")
    row = Conversation.objects.recount(chat.pk)
    assert (row.last_message, row.unread_count) == (supplement, 0)
    picture = a_message(chat, timestamp=NOON, kind="image", text="praia")
    row = Conversation.objects.recount(chat.pk)
    assert (row.last_message, row.last_message_text, row.unread_count) == (picture, "praia", 1)


@pytest.mark.django_db
def test_the_last_of_messages_with_the_same_place_does_not_depend_on_the_collation_of_the_database() -> None:
    chat = a_chat(an_instance())
    rows = {name: a_message(chat, timestamp=NOON, key_id=name) for name in ("Z", "a", "É")}
    assert Conversation.objects.recount(chat.pk).last_message == rows["É"]
    rows["É"].delete()
    assert Conversation.objects.recount(chat.pk).last_message == rows["a"]
