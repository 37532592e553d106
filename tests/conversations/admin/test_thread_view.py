import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from conversations.admin.display_names import DisplayNames
from conversations.admin.thread_view import MessageView, Quote, Reaction, group_by_day
from conversations.models import Contact, Message

ANA = Contact(pk=1, name="Ana", jid="5511999990001@s.whatsapp.net")
RUI = Contact(pk=2, name="Rui", jid="5511999990002@s.whatsapp.net")
NAMES = DisplayNames({1: ANA, 2: RUI}, {"phone:551199990001": 1, "phone:551199990002": 2})
SAO_PAULO = ZoneInfo("America/Sao_Paulo")
NOON = dt.datetime(2026, 3, 2, 15, 0, tzinfo=dt.UTC)  # 15:00 UTC is 12:00 in São Paulo


def message(pk: int, minutes: int = 0, **fields: Any) -> Message:
    fields = {"from_me": False, "kind": "text", "text": f"nº {pk}", "key_id": f"K{pk}", "sender_id": 1} | fields
    return Message(pk=pk, timestamp=NOON + dt.timedelta(minutes=minutes), **fields)


def views(*oldest_first: Message, is_group: bool = False) -> list[MessageView]:
    days = group_by_day(oldest_first[::-1], NAMES, zone=SAO_PAULO, is_group=is_group)
    return [view for day in days for view in day.messages]


def test_messages_are_ordered_oldest_first() -> None:
    assert [view.pk for view in views(message(1), message(2, 1), message(3, 2))] == [1, 2, 3]


def test_days_begin_at_midnight_in_the_given_time_zone() -> None:
    rows = [message(2, minutes=12 * 60), message(1, minutes=12 * 60 - 1)]
    days = group_by_day(rows, NAMES, zone=SAO_PAULO, is_group=False)
    assert [(day.date.isoformat(), [view.pk for view in day.messages]) for day in days] == [
        ("2026-03-02", [1]),
        ("2026-03-03", [2]),
    ]
    assert days[0].messages[0].time.strftime("%H:%M") == "23:59"


def test_a_group_shows_the_author_when_the_sender_changes() -> None:
    mine = message(4, from_me=True, sender_id=None)
    rows = [message(1), message(2), message(3, sender_id=2), mine, message(5, sender_id=2)]
    assert [view.author for view in views(*rows, is_group=True)] == ["Ana", "", "Rui", "", "Rui"]


def test_a_new_day_shows_the_author_again() -> None:
    assert [view.author for view in views(message(1), message(2, 24 * 60), is_group=True)] == ["Ana", "Ana"]


def test_senders_without_a_contact_are_distinguished_by_name() -> None:
    rows = [message(1, sender_id=None, sender_name="Zé"), message(2, sender_id=None, sender_name="Bia")]
    assert [view.author for view in views(*rows, is_group=True)] == ["Zé", "Bia"]


def test_a_direct_conversation_shows_no_authors() -> None:
    assert [view.author for view in views(message(1), message(2, from_me=True))] == ["", ""]


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
def test_sent_messages_show_their_delivery_status(status: int, sign: str, name: str) -> None:
    (view,) = views(message(1, from_me=True, status=status))
    assert view.delivery
    assert (view.delivery.sign, view.delivery.name) == (sign, name)


def test_received_messages_show_no_delivery_status() -> None:
    assert views(message(1, status=3))[0].delivery is None


def test_a_reply_links_to_the_quoted_message_if_it_is_on_the_page() -> None:
    quoted: dict[str, Any] = {
        "quoted_key_id": "K1",
        "quoted_sender": "5511999990001@s.whatsapp.net",
        "quoted_text": "nº 1",
    }
    first, second = views(message(1), message(2, **quoted))
    assert second.quote == Quote("Ana", "nº 1", anchor=first.anchor)
    assert views(message(2, **quoted))[0].quote == Quote("Ana", "nº 1")


@pytest.mark.parametrize(
    ("chat", "place"),
    [
        ("status@broadcast", "Status"),
        ("120363040000000654@g.us", "in another chat"),
        ("5511999990001@s.whatsapp.net", "in the chat with Ana"),
    ],
)
def test_a_reply_says_where_the_quoted_message_is(chat: str, place: str) -> None:
    _, reply = views(message(1), message(2, quoted_key_id="K1", quoted_text="oi", details={"quoted_chat": chat}))
    assert reply.quote == Quote("", "oi", place=place)


def test_an_album_is_one_group() -> None:
    album = {"album_id": "ALBUM"}
    rows = [message(1), message(2, details=album), message(3), message(4, details=album), message(5)]
    (day,) = group_by_day(rows[::-1], NAMES, zone=SAO_PAULO, is_group=False)
    assert [[view.pk for view in group.messages] for group in day.groups] == [[1], [2, 4], [3], [5]]


def test_reactions_are_grouped_by_emoji_without_removed_ones() -> None:
    reactions = {
        "1": {"emoji": "👍", "at": 1},
        "me": {"emoji": "👍", "at": 2},
        "phone:551199990002": {"emoji": "", "at": 3},
        "phone:5521": {"emoji": "🙏", "at": 4},
        "odd": "shape",
    }
    (view,) = views(message(1, reactions=reactions))
    assert view.reactions == [Reaction("👍", ("Ana", "You"), 2), Reaction("🙏", ("+5521",), 1)]


def test_edits_deletions_and_flags_are_shown() -> None:
    (view,) = views(
        message(
            1, is_deleted=True, edited_at=NOON, original_text="antes", is_history=True,
            details={"is_forwarded": True, "view_once": True, "mentions_all": True},
        )
    )  # fmt: skip
    assert view.is_deleted
    assert view.original_text == "antes"
    assert view.flags == ["forwarded", "view once", "mentions everybody", "edited"]


def test_a_voice_message_shows_its_kind_and_media_facts() -> None:
    (view,) = views(message(1, kind="audio", text="", media={"mimetype": "audio/ogg", "seconds": 23, "is_voice": True}))
    assert (view.kind_name, view.media_facts, view.text) == ("Audio", ["audio/ogg", "0:23", "voice"], [])


def test_no_messages_give_no_days() -> None:
    assert views() == []
