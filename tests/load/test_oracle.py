from typing import Any

from conversations.demo import demo_clock
from conversations.demo.events import Event
from tests.load import scenario
from tests.load.oracle import ExpectedConversation, Oracle

PHONE, LID = "5511900000001", "222000000000001"
JID, LID_JID = f"{PHONE}@s.whatsapp.net", f"{LID}@lid"
OWNERS = {JID: PHONE, LID_JID: PHONE}
CHANNEL = scenario.build_instance(7, 1)
T = demo_clock.END // 1000


def build_event(name: str, data: Any, at: int = demo_clock.END) -> Event:
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
    return build_event("messages.upsert", record(key_id, second=second, **more))


def status_update(key_id: str, status: str) -> Event:
    return build_event("messages.update", {"keyId": key_id, "status": status, "fromMe": False})


def conversation(*events: Event) -> ExpectedConversation:
    oracle = Oracle(OWNERS)
    oracle.add_events(events)
    assert list(oracle.conversations) == [PHONE]
    return oracle.conversations[PHONE]


def test_both_addresses_of_a_person_are_one_conversation_latest_message_first() -> None:
    found = conversation(inbound("A", T + 1, jid=LID_JID), inbound("C", T + 2), inbound("B", T + 2))
    assert [message.key_id for message in found.messages] == ["C", "B", "A"]


def test_the_earliest_timestamp_of_the_copies_wins() -> None:
    found = conversation(inbound("A", T + 9), inbound("A", T), inbound("A", T + 3))
    assert [(message.key_id, message.timestamp) for message in found.messages] == [("A", T)]
    assert found.unread == 1


def test_the_highest_status_wins() -> None:
    sent = build_event("send.message", record("A", from_me=True))
    found = conversation(
        status_update("A", "READ"), status_update("A", "SERVER_ACK"), sent, status_update("A", "DELIVERY_ACK")
    )
    assert found.last.status == 4


def test_the_latest_edit_wins_in_any_order() -> None:
    def edit(text: str, ms: int) -> Event:
        body = {"key": {"id": "A"}, "type": "MESSAGE_EDIT", "editedMessage": {"conversation": text}}
        return build_event("messages.edited", {**body, "timestampMs": str(ms)})

    assert conversation(edit("later", 2), inbound("A"), edit("earlier", 1)).last.text == "later"


def test_a_revocation_or_deletion_before_the_message_deletes_it() -> None:
    revoked = build_event("messages.edited", {"key": {"id": "A"}, "type": "REVOKE"})
    deleted = build_event("messages.delete", {"id": "B"})
    by_api = build_event("messages.delete", {"id": "cm1", "key": {"id": "C"}})
    found = conversation(revoked, deleted, by_api, *map(inbound, "ABCD"))
    assert [message.key_id for message in found.messages if message.is_deleted] == ["C", "B", "A"]


def test_an_empty_reaction_removes_the_earlier_one() -> None:
    def reaction(text: str, ms: int) -> Event:
        body = {"key": {"id": "A"}, "text": text, "senderTimestampMs": {"low": ms, "high": 0}}
        return inbound(f"R{ms}", message={"reactionMessage": body})

    assert conversation(inbound("A"), reaction("👍", 1)).last.reactions == ["👍"]
    assert conversation(reaction("", 2), inbound("A"), reaction("👍", 1)).last.reactions == []


def test_messages_after_the_last_read_one_are_unread() -> None:
    messages = [inbound("A", T), inbound("B", T + 1), inbound("C", T + 2)]
    by_api, by_phone = record("D", second=T + 1, from_me=True), record("E", second=T + 2, from_me=True)
    assert conversation(*messages).unread == 3
    assert conversation(*messages, status_update("B", "READ")).unread == 1
    assert conversation(*messages, build_event("send.message", by_api)).unread == 3
    # Message C is from the same second as the message from the phone, so C may be later and unread.
    assert conversation(*messages, build_event("messages.upsert", by_phone)).unread == 1


def test_the_latest_state_wins_and_two_states_at_the_same_time_give_none() -> None:
    oracle = Oracle(OWNERS)
    states = [(2, "open"), (1, "connecting")]
    oracle.add_events([scenario.connection_event(CHANNEL, at, state) for at, state in states])
    assert oracle.state == "open"
    oracle.add_events([scenario.connection_event(CHANNEL, 2, "close")])
    assert oracle.state == ""
