"""What must be there, by the oracle; and that oracle and ingestion, which know nothing of each other, agree."""

import json
import random
from typing import Any

import pytest

from conversations.demo import demo_clock
from conversations.demo.events import Event
from conversations.ingest.conf import Options
from conversations.ingest.worker.batch import apply_due
from conversations.models import Conversation, Instance, Message
from tests.conversations.ingest.inboxes import store_all
from tests.load import run, scenario, schedule, verify
from tests.load.oracle import Oracle, Thread
from tests.load.plan import Plan
from tests.load.scenario import Scenario
from tests.load.verify import Report

PHONE, LID = "5511900000001", "222000000000001"
JID, LID_JID = f"{PHONE}@s.whatsapp.net", f"{LID}@lid"
ADDRESSES = {JID: PHONE, LID_JID: PHONE}
CHANNEL = scenario.channel(7, 1)
T = demo_clock.END // 1000


def told(name: str, data: Any, at: int = demo_clock.END) -> Event:
    return Event(at, CHANNEL, name, data)


def record(key_id: str, *, second: int = T, from_me: bool = False, jid: str = JID, **more: Any) -> dict[str, Any]:
    return {
        "key": {"remoteJid": jid, "fromMe": from_me, "id": key_id, "participant": ""},
        "status": "PENDING" if from_me else "DELIVERY_ACK",
        "message": {"conversation": f"text of {key_id}"},
        "messageType": "conversation",
        "messageTimestamp": second,
        **more,
    }


def inbound(key_id: str, second: int = T, **more: Any) -> Event:
    return told("messages.upsert", record(key_id, second=second, **more))


def status(key_id: str, word: str) -> Event:
    return told("messages.update", {"keyId": key_id, "status": word, "fromMe": False})


def thread(*events: Event) -> Thread:
    oracle = Oracle(ADDRESSES)
    oracle.hear(events)
    assert list(oracle.threads) == [PHONE]
    return oracle.threads[PHONE]


def test_both_addresses_are_one_conversation_latest_message_first() -> None:
    found = thread(inbound("A", T + 1, jid=LID_JID), inbound("C", T + 2), inbound("B", T + 2))
    assert [bubble.key_id for bubble in found.bubbles] == ["C", "B", "A"]


def test_of_copies_the_earliest_timestamp_holds() -> None:
    found = thread(inbound("A", T + 9), inbound("A", T), inbound("A", T + 3))
    assert [(bubble.key_id, bubble.timestamp) for bubble in found.bubbles] == [("A", T)]
    assert found.unread == 1


def test_a_status_only_rises() -> None:
    sent = told("send.message", record("A", from_me=True))
    found = thread(status("A", "READ"), status("A", "SERVER_ACK"), sent, status("A", "DELIVERY_ACK"))
    assert found.last.status == 4


def test_the_latest_edit_holds_whichever_comes_first() -> None:
    def edit(text: str, ms: int) -> Event:
        body = {"key": {"id": "A"}, "type": "MESSAGE_EDIT", "editedMessage": {"conversation": text}}
        return told("messages.edited", {**body, "timestampMs": str(ms)})

    assert thread(edit("later", 2), inbound("A"), edit("earlier", 1)).last.text == "later"


def test_a_revocation_and_a_deletion_delete_before_the_message_too() -> None:
    revoked = told("messages.edited", {"key": {"id": "A"}, "type": "REVOKE"})
    deleted, by_api = told("messages.delete", {"id": "B"}), told("messages.delete", {"id": "cm1", "key": {"id": "C"}})
    found = thread(revoked, deleted, by_api, *map(inbound, "ABCD"))
    assert [bubble.key_id for bubble in found.bubbles if bubble.is_deleted] == ["C", "B", "A"]


def test_a_reaction_taken_back_is_none() -> None:
    def reaction(text: str, ms: int) -> Event:
        body = {"key": {"id": "A"}, "text": text, "senderTimestampMs": {"low": ms, "high": 0}}
        return inbound(f"R{ms}", message={"reactionMessage": body})

    assert thread(inbound("A"), reaction("👍", 1)).last.reactions == ["👍"]
    assert thread(reaction("", 2), inbound("A"), reaction("👍", 1)).last.reactions == []


def test_unread_is_what_came_after_what_is_known_to_be_read() -> None:
    messages = [inbound("A", T), inbound("B", T + 1), inbound("C", T + 2)]
    by_api, by_phone = record("D", second=T + 1, from_me=True), record("E", second=T + 2, from_me=True)
    assert thread(*messages).unread == 3
    assert thread(*messages, status("B", "READ")).unread == 1
    assert thread(*messages, told("send.message", by_api)).unread == 3
    assert thread(*messages, told("messages.upsert", by_phone)).unread == 1  # C came in the same second


def test_the_latest_state_holds_and_two_at_once_are_not_judged() -> None:
    oracle = Oracle(ADDRESSES)
    oracle.hear([scenario.state(CHANNEL, at, word) for at, word in ((2, "open"), (1, "connecting"))])
    assert oracle.state == "open"
    oracle.hear([scenario.state(CHANNEL, 2, "close")])
    assert oracle.state == ""


# --- beside ingestion -------------------------------------------------------------------------------------------------
PLAN = Plan(rate=60, seconds=8, instances=2, copies=5, seed=15)  # a seed with something of everything
BATCHES = Options(window=0, interval=0, batch=40)
pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def whole() -> Scenario:
    return scenario.build_scenario(PLAN)


@pytest.fixture
def delivered(whole: Scenario) -> dict[bytes, Event]:
    posts = schedule.schedule(PLAN, whole)
    return {post.event.delivery.body: post.event for post in posts}


@pytest.fixture
def instances(whole: Scenario, delivered: dict[bytes, Event]) -> list[Instance]:
    """Two instances to which everything was told, once, in an order that nothing decides."""
    made = {one.name: Instance.objects.create(name=one.name, server_url=scenario.SERVER) for one in whole.channels}
    bodies = list(delivered.items())
    random.Random(7).shuffle(bodies)
    for body, event in bodies:
        store_all(made[event.channel.name], json.loads(body))
    for instance in made.values():
        while apply_due(instance.pk, BATCHES, ignore_schedule=True):
            pass
    return list(made.values())


def test_the_oracle_and_ingestion_agree(
    whole: Scenario, delivered: dict[bytes, Event], instances: list[Instance]
) -> None:
    judgement, threads = run.verify_load(whole, instances, delivered)
    assert judgement.is_right, dict(judgement.mismatches)
    assert judgement.messages == Message.objects.count() > 30
    assert len(threads) == judgement.conversations == Conversation.objects.count()
    bubbles = [bubble for thread in threads.values() for bubble in thread.bubbles]
    # What is compared is there to be compared.
    assert any(bubble.is_deleted for bubble in bubbles)
    assert any(bubble.reactions for bubble in bubbles)
    assert any(bubble.votes for bubble in bubbles)
    assert any(bubble.file for bubble in bubbles)
    assert any(thread.unread for thread in threads.values())
    assert len({bubble.status for bubble in bubbles}) > 2


def test_whatever_is_spoiled_is_found(
    whole: Scenario, delivered: dict[bytes, Event], instances: list[Instance]
) -> None:
    rows = Message.objects.filter(is_deleted=False).exclude(kind="call").order_by("pk")

    def spoilt(what: str, **fields: Any) -> None:
        row = rows[0]
        before = {name: getattr(row, name) for name in fields}
        Message.objects.filter(pk=row.pk).update(**fields)
        assert wrong(what) == 1
        Message.objects.filter(pk=row.pk).update(**before)

    def wrong(what: str) -> int:
        judgement, _ = run.verify_load(whole, instances, delivered)
        assert set(judgement.mismatches) <= {what, "wrong last message"}, dict(judgement.mismatches)
        return len(judgement.mismatches[what])

    spoilt("wrong text", text="something else")
    spoilt("wrong status", status=0 if rows[0].status else 1)
    spoilt("wrong deletion", is_deleted=True)
    spoilt("wrong timestamp", timestamp=demo_clock.utc(0))
    spoilt("wrong reactions", reactions={"x": {"emoji": "🙃", "who": "me", "at": 1}})
    spoilt("wrong media", media={"file": "1/ab/abcd"})
    conversation = Conversation.objects.earliest("pk")
    Conversation.objects.filter(pk=conversation.pk).update(unread_count=conversation.unread_count + 1)
    assert wrong("wrong unread") == 1
    Conversation.objects.filter(pk=conversation.pk).update(unread_count=conversation.unread_count)
    Conversation.objects.filter(pk=conversation.pk).update(last_message_text="something else")
    assert wrong("wrong last message") == 1
    Conversation.objects.filter(pk=conversation.pk).update(last_message_text=conversation.last_message_text)
    Instance.objects.filter(pk=instances[0].pk).update(state="refused")
    assert wrong("wrong state") == 1


def test_a_message_that_is_not_there_or_there_twice_is_found(
    whole: Scenario, delivered: dict[bytes, Event], instances: list[Instance]
) -> None:
    gone = Message.objects.exclude(conversation__last_message=None).latest("pk")
    Message.objects.create(
        instance=gone.instance,
        conversation=gone.conversation,
        key_id="nobody sent it",
        from_me=False,
        timestamp=gone.timestamp,
        kind="text",
    )
    gone.delete()
    judgement, _ = run.verify_load(whole, instances, delivered)
    assert (len(judgement.mismatches["lost"]), len(judgement.mismatches["duplicated"])) == (1, 1)


def test_an_event_that_is_not_kept_or_not_applied_is_found(
    delivered: dict[bytes, Event], instances: list[Instance]
) -> None:
    instance = instances[0]
    heard = [event for event in delivered.values() if event.channel.name == instance.name]
    events = instance.events.filter(name="messages.upsert")
    events.filter(pk=events.earliest("pk").pk).delete()
    events.filter(pk=events.latest("pk").pk).update(outcome="failed")
    judgement = Report()
    verify.verify_inbox(instance, heard, judgement)
    assert (len(judgement.mismatches["lost"]), len(judgement.mismatches["not applied"])) == (1, 1)
