"""An album has a maximum number of messages, so that its next message costs no more than the one before."""

from typing import Any

import pytest

from conversations.ingest.apply import messages
from conversations.models import Message, PendingUpdate
from tests.conversations.ingest.apply.orders import apply_bodies, apply_in_every_order, new_instance
from tests.conversations.ingest.bodies import GROUP, PEOPLE, PHONE, SECOND, Body, text

pytestmark = pytest.mark.django_db

BOB = PEOPLE[1][0]


@pytest.fixture(autouse=True)
def _small_albums(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "MAX_ALBUM", 3, raising=False)


def picture(key_id: str, at: int, jid: str = PHONE, sender: str = PHONE) -> Body:
    association = {"messageAssociation": {"associationType": 1, "parentMessageKey": {"id": "ALBUM"}}}
    key = {"participant": sender} if jid == GROUP else {}
    content = {"imageMessage": {"mimetype": "image/jpeg"}, "messageContextInfo": association}
    return text(key_id, jid, at=at, key=key, message=content, messageType="imageMessage")


def reaction(jid: str = PHONE) -> Body:
    content: Any = {"reactionMessage": {"key": {"id": "ALBUM"}, "text": "👍", "senderTimestampMs": SECOND * 1000}}
    return text("R1", jid, at=9, message=content, key={"participant": BOB} if jid == GROUP else {})


def test_the_earliest_messages_are_the_album_in_every_order() -> None:
    pictures = [picture(f"P{at}", at) for at in (4, 2, 0, 3, 1)]
    rows = apply_in_every_order(*pictures, picture("P3", 7))
    assert sorted(row["subject"] for row in rows["pending_updates"]) == ["P0", "P1", "P2"]
    assert len(rows["messages"]) == 5


def test_a_reaction_to_an_album_reaches_its_earliest_messages_only() -> None:
    instance = new_instance()
    apply_bodies(instance, *(picture(f"P{at}", at) for at in (4, 2, 0, 3, 1)), reaction())
    assert sorted(row.key_id for row in Message.objects.all() if row.reactions) == ["P0", "P1", "P2"]


def test_nobody_can_take_the_place_of_the_pictures_of_another_member_later() -> None:
    instance = new_instance()
    apply_bodies(instance, picture("P0", 0, GROUP), *(picture(f"A{at}", at, GROUP, BOB) for at in (1, 2, 3, 4)))
    apply_bodies(instance, reaction(GROUP))
    assert "P0" in [row.key_id for row in Message.objects.all() if row.reactions]


def test_an_album_of_another_chat_has_places_of_its_own() -> None:
    instance = new_instance()
    apply_bodies(instance, *(picture(f"A{at}", at, BOB) for at in range(5)))
    apply_bodies(instance, *(picture(f"P{at}", at + 5) for at in range(5)))
    assert PendingUpdate.objects.filter(kind="album").count() == 6
