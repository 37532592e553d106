"""Messages with rare content give the same rows in any order and with any repetition, and count where they should."""

import random

import pytest

from conversations.models import Conversation, Instance, Message
from tests.conversations.ingest.apply.orders import apply_at_once, apply_bodies, facts_of, new_instance
from tests.conversations.ingest.bodies import PHONE, Body, text
from tests.conversations.ingest.receive import apply_facts
from tests.conversations.ingest.row_snapshots import rows_of
from tests.conversations.rare_messages import MESSAGES, body_of

pytestmark = pytest.mark.django_db

BATCH = 25
BODIES = [text("BASE1"), *map(body_of, MESSAGES.values())]
HIGH_DEFINITION = body_of(MESSAGES["hd_image_twin"])
PICTURE: Body = text("SD1", at=-1, message={"imageMessage": {"caption": "praia"}}, messageType="imageMessage")


def apply_in_batches(bodies: list[Body]) -> Instance:
    instance = new_instance()
    for start in range(0, len(bodies), BATCH):
        apply_facts(instance, [fact for body in bodies[start : start + BATCH] for fact in facts_of(body)])
        instance.refresh_from_db()
    return instance


def test_any_order_and_any_repetition_give_the_same_rows() -> None:
    first = apply_in_batches(BODIES)
    rows = rows_of(first)
    chosen = random.Random(1)
    for order in (BODIES[::-1], chosen.choices(BODIES, k=BATCH) + chosen.sample(BODIES, len(BODIES))):
        assert rows_of(apply_in_batches(order)) == rows
    assert apply_at_once(BODIES[::-1] + BODIES) == rows

    names = {row["key_id"] for row in rows["messages"]}
    assert names == {"BASE1", *(name for name, described in MESSAGES.items() if "kind" in described["gives"])}
    chat = Conversation.objects.get(instance=first, jid=PHONE)
    uncounted = chat.messages.filter(kind__in=("call", "notice", "supplement")) | chat.messages.filter(from_me=True)
    assert chat.unread_count == chat.messages.count() - uncounted.count()


@pytest.mark.parametrize("bodies", [(PICTURE, HIGH_DEFINITION), (HIGH_DEFINITION, PICTURE)])
def test_a_picture_and_its_copy_in_high_definition_count_once(bodies: tuple[Body, ...]) -> None:
    apply_bodies(new_instance(), *bodies, *bodies)
    chat = Conversation.objects.get()
    assert (chat.unread_count, chat.last_message_text, chat.last_message_kind) == (1, "praia", "image")
    assert Message.objects.get(kind="supplement").details["parent"]["key_id"] == "SD1"


def test_a_message_for_the_phone_only_gives_way_to_a_copy_with_content() -> None:
    placeholder = text("P1", message={"placeholderMessage": {"type": 0}}, messageType="placeholderMessage")
    for bodies in ([placeholder, text("P1")], [text("P1"), placeholder]):
        instance = new_instance()
        apply_bodies(instance, *bodies)
        row = Message.objects.get(instance=instance)
        assert (row.kind, row.text, row.details) == ("text", "oi", {})
        assert row.conversation.unread_count == 1
