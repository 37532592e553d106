"""A key id has a maximum number of pending updates, so that its next update costs no more than the one before."""

import pytest

from conversations.evolution import jid
from conversations.ingest.apply import messages, pending_updates
from conversations.models import Message, PendingUpdate
from tests.conversations.ingest.apply.orders import apply_bodies, apply_in_every_order, new_instance
from tests.conversations.ingest.bodies import GROUP, PEOPLE, SECOND, Body, text

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _few_pending(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "MAX_PENDING", 3, raising=False)


def status(chat: int) -> Body:
    data = {"keyId": "A", "remoteJid": f"12036300000000{chat}@g.us", "fromMe": False, "status": "READ"}
    return {"event": "messages.update", "data": data}


def reaction(number: int) -> Body:
    content = {"reactionMessage": {"key": {"id": "A"}, "text": "👍", "senderTimestampMs": SECOND * 1000}}
    return text(f"R{number}", GROUP, at=9, message=content, key={"participant": PEOPLE[number][0]})


def test_the_same_updates_of_a_key_id_are_kept_in_every_order() -> None:
    rows = apply_in_every_order(*map(status, (4, 2, 0, 3, 1)))
    assert sorted(row["chat"][-1] for row in rows["pending_updates"]) == ["0", "1", "2"]


def test_another_key_id_has_places_of_its_own() -> None:
    instance = new_instance()
    other = status(0)
    apply_bodies(instance, *map(status, range(5)), {**other, "data": {**other["data"], "keyId": "B"}})
    assert PendingUpdate.objects.filter(key_id="B").count() == 1


def test_a_message_that_has_arrived_gets_all_reactions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "MAX_PENDING", 1)
    instance = new_instance()
    apply_bodies(instance, text("A", GROUP, at=0, key={"participant": PEOPLE[0][0]}))
    for number in range(len(PEOPLE)):
        apply_bodies(instance, reaction(number))
    assert len(Message.objects.get(key_id="A").reactions) == len(PEOPLE)
    assert PendingUpdate.objects.filter(key_id="A").count() == 1


def test_a_contact_with_a_new_address_loads_no_updates_of_messages_that_never_came() -> None:
    """Otherwise, each message that shows another LID of a number costs as much as the updates of its chat."""
    instance = new_instance()
    phone, lid = PEOPLE[0]
    for key_id in ("A", "B"):
        apply_bodies(
            instance,
            {"event": "messages.update", "data": {"keyId": key_id, "remoteJid": phone, "fromMe": False, "status": 4}},
        )
    apply_bodies(instance, text("A", lid, at=0))
    assert pending_updates.key_ids_for_contacts(instance, {jid.key_of(phone)}) == {"A"}
    apply_bodies(instance, text("C", phone, at=1, key={"remoteJidAlt": lid}), text("B", phone, at=2))
    assert set(Message.objects.filter(status=4).values_list("key_id", flat=True)) == {"A", "B"}
