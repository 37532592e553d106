import datetime as dt

import pytest

from conversations.admin.inbox.rows import TONES, chat_row, initials, labels_of, short_time, tone
from conversations.models import EPOCH, Conversation, Instance, Message

NOW = dt.datetime(2026, 3, 4, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (NOW - dt.timedelta(hours=2, minutes=55), "09:05"),
        (NOW - dt.timedelta(days=1), "Tue"),
        (NOW - dt.timedelta(days=6), "Thu"),
        (NOW - dt.timedelta(days=7), "25 Feb 2026"),
        (NOW + dt.timedelta(days=1), "5 Mar 2026"),
    ],
)
def test_a_time_is_as_short_as_it_is_clear(time: dt.datetime, text: str) -> None:
    assert short_time(time, NOW) == text


@pytest.mark.parametrize(("name", "text"), [("Ana Souza Lima", "AS"), ("éa", "É"), ("+55 11 9", "#"), ("🌵 Bia", "B")])
def test_initials_are_letters(name: str, text: str) -> None:
    assert initials(name) == text


def test_a_tone_is_always_the_same_and_has_a_class() -> None:
    assert {tone(f"{number}") for number in range(200)} == set(range(TONES))
    assert tone("\ud800") == tone("\ud800")


def test_deleted_labels_are_not_shown_and_unknown_ones_by_their_id() -> None:
    instance = Instance(labels={"1": {"name": "New"}, "2": {"name": "Old", "deleted": True}})
    assert [label.name for label in labels_of(instance, {"1", "2", "3"})] == ["New", "3"]


def test_who_may_not_read_messages_sees_no_text_and_no_ticks() -> None:
    row = Conversation(
        name="Ana", jid="5511@s.whatsapp.net", last_message_at=NOW, last_message_text="oi", last_message_kind="text",
        last_message_from_me=True,
    )  # fmt: skip
    last = Message(from_me=True, status=Message.Status.READ)
    shown, hidden = (chat_row(row, None, last, NOW, shows_text=shows_text) for shows_text in (True, False))
    assert (shown.preview, shown.delivery and shown.delivery.name, shown.from_me) == ("oi", "read", True)
    assert (hidden.preview, hidden.delivery, hidden.from_me) == ("", None, False)


def test_a_conversation_without_messages_has_no_time() -> None:
    row = chat_row(Conversation(jid="5511@s.whatsapp.net", last_message_at=EPOCH), None, None, NOW, shows_text=True)
    assert (row.time, row.time_text, row.preview, row.name) == (None, "", "", "+5511")
