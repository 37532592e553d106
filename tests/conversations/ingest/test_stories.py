"""A chat shows after each story what a phone shows: its messages, which is the last, and how many are unread."""

from typing import Any

import pytest

from conversations.models import Conversation, Message, WebhookEvent
from tests.conversations.ingest.bodies import envelope
from tests.conversations.ingest.receive import receive
from tests.conversations.rows import an_instance
from tests.payloads import stories

pytestmark = [pytest.mark.django_db, pytest.mark.once]

UNREAD_OUTCOMES = {WebhookEvent.Outcome.FAILED, WebhookEvent.Outcome.UNKNOWN}


def line_of(row: Message, fields: list[str]) -> str:
    """Return a row as a line, see `payloads.stories`."""
    values = {**row.media, **row.details}
    signs = [
        "edited" if row.edited_at else "",
        "deleted" if row.is_deleted else "",
        f're {row.quoted_key_id} "{row.quoted_text}"' if row.quoted_key_id else "",
        "".join(reaction["emoji"] for _, reaction in row.first_reactions),
        " ".join(f"{option['voter_count']} for {option['name']}" for option in row.poll_count if option["voters"]),
        " ".join(f"{name}={values[name]!r}" for name in fields if name in values),
    ]
    return " | ".join([f"{'me ' if row.from_me else ''}{row.kind}: {row.text}", *filter(None, signs)])


@pytest.mark.parametrize("story", stories(), ids=lambda story: story["name"])
def test_a_chat_shows_what_the_phone_shows(story: dict[str, Any]) -> None:
    instance = an_instance()
    outcomes = {receive(instance, envelope(**event)).outcome for event in story["events"]}
    assert not outcomes & UNREAD_OUTCOMES
    rows = Message.objects.order_by("timestamp", "key_id")
    assert [line_of(row, story.get("fields", [])) for row in rows] == story["shows"]
    for chat in Conversation.objects.all():
        last = rows.filter(conversation=chat).exclude(kind=Message.Kind.SUPPLEMENT).last()
        assert chat.last_message_text == ("" if last is None or last.is_deleted else last.text)
    assert sum(Conversation.objects.values_list("unread_count", flat=True)) == story["unread"]
