import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from conversations.admin.display_names import DisplayNames
from conversations.admin.thread_view import MessageView, Quote, Reaction, group_by_day
from conversations.models import Contact, Message

ANA = Contact(pk=1, name="Ana", jid="5511999990001@s.whatsapp.net")
RUI = Contact(pk=2, name="Rui", jid="5511999990002@s.whatsapp.net")
PEOPLE = DisplayNames({1: ANA, 2: RUI}, {"phone:551199990001": 1, "phone:551199990002": 2})
SAO_PAULO = ZoneInfo("America/Sao_Paulo")
NOON = dt.datetime(2026, 3, 2, 15, 0, tzinfo=dt.UTC)  # in São Paulo


def message(pk: int, minutes: int = 0, **fields: Any) -> Message:
    fields = {"from_me": False, "kind": "text", "text": f"nº {pk}", "key_id": f"K{pk}", "sender_id": 1} | fields
    return Message(pk=pk, timestamp=NOON + dt.timedelta(minutes=minutes), **fields)


def shown(*oldest_first: Message, is_group: bool = False) -> list[MessageView]:
    days_shown = group_by_day(oldest_first[::-1], PEOPLE, zone=SAO_PAULO, is_group=is_group)
    return [bubble for day in days_shown for bubble in day.bubbles]


def test_the_oldest_is_at_the_top() -> None:
    assert [bubble.pk for bubble in shown(message(1), message(2, 1), message(3, 2))] == [1, 2, 3]


def test_days_begin_at_midnight_where_the_reader_is() -> None:
    rows = [message(2, minutes=12 * 60), message(1, minutes=12 * 60 - 1)]
    found = group_by_day(rows, PEOPLE, zone=SAO_PAULO, is_group=False)
    assert [(day.date.isoformat(), [bubble.pk for bubble in day.bubbles]) for day in found] == [
        ("2026-03-02", [1]),
        ("2026-03-03", [2]),
    ]
    assert found[0].bubbles[0].at.strftime("%H:%M") == "23:59"


def test_a_group_names_whoever_begins_to_speak() -> None:
    mine = message(4, from_me=True, sender_id=None)
    rows = [message(1), message(2), message(3, sender_id=2), mine, message(5, sender_id=2)]
    assert [bubble.author for bubble in shown(*rows, is_group=True)] == ["Ana", "", "Rui", "", "Rui"]


def test_a_new_day_names_the_speaker_again() -> None:
    assert [bubble.author for bubble in shown(message(1), message(2, 24 * 60), is_group=True)] == ["Ana", "Ana"]


def test_two_strangers_in_a_group_are_two() -> None:
    rows = [message(1, sender_id=None, sender_name="Zé"), message(2, sender_id=None, sender_name="Bia")]
    assert [bubble.author for bubble in shown(*rows, is_group=True)] == ["Zé", "Bia"]


def test_a_direct_chat_names_nobody() -> None:
    assert [bubble.author for bubble in shown(message(1), message(2, from_me=True))] == ["", ""]


@pytest.mark.parametrize(
    ("status", "sign", "name"),
    [
        (0, "🕓", "pending"),
        (1, "✓", "sent"),
        (2, "⚠", "failed"),
        (3, "✓✓", "delivered"),
        (4, "✓✓", "read"),
        (5, "✓✓", "played"),
    ],
)
def test_our_own_messages_say_how_far_they_came(status: int, sign: str, name: str) -> None:
    (bubble,) = shown(message(1, from_me=True, status=status))
    assert bubble.tick
    assert (bubble.tick.sign, bubble.tick.name) == (sign, name)


def test_others_messages_have_no_ticks() -> None:
    assert shown(message(1, status=3))[0].tick is None


def test_an_answer_leads_to_what_it_answers_if_that_is_on_the_page() -> None:
    quoted: dict[str, Any] = {
        "quoted_key_id": "K1",
        "quoted_sender": "5511999990001@s.whatsapp.net",
        "quoted_text": "nº 1",
    }
    first, second = shown(message(1), message(2, **quoted))
    assert second.quote == Quote("Ana", "nº 1", anchor=first.anchor)
    assert shown(message(2, **quoted))[0].quote == Quote("Ana", "nº 1")


def test_reactions_are_counted_by_emoji_without_those_taken_back() -> None:
    reactions = {
        "phone:551199990001": {"emoji": "👍", "at": 1},
        "me": {"emoji": "👍", "at": 2},
        "phone:551199990002": {"emoji": "", "at": 3},
        "phone:5521": {"emoji": "🙏", "at": 4},
        "odd": "shape",
    }
    (bubble,) = shown(message(1, reactions=reactions))
    assert bubble.reactions == [Reaction("👍", ("Ana", "You")), Reaction("🙏", ("+5521",))]


def test_edits_deletions_and_marks_are_told() -> None:
    (bubble,) = shown(
        message(
            1, is_deleted=True, edited_at=NOON, original_text="antes", is_history=True,
            details={"isForwarded": True, "viewOnce": True},
        )
    )  # fmt: skip
    assert bubble.is_deleted
    assert bubble.original == "antes"
    assert bubble.marks == ["forwarded", "view once", "edited", "history"]


def test_media_are_described() -> None:
    (bubble,) = shown(
        message(1, kind="audio", text="", media={"mimetype": "audio/ogg", "seconds": 23, "is_voice": True})
    )
    assert (bubble.kind, bubble.facts, bubble.text) == ("Audio", ["audio/ogg", "0:23", "voice"], [])


def test_no_messages_have_no_days() -> None:
    assert shown() == []
