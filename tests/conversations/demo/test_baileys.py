from collections.abc import Iterable

import pytest

from conversations.demo import baileys, script
from conversations.demo.addressing import LIVE_MODES, ChatAddressing
from conversations.demo.chat_plan import Chat
from conversations.demo.chats import build_chats
from conversations.demo.conversation_builder import ConversationBuilder
from conversations.demo.demo_clock import CONNECTED
from conversations.demo.demo_instances import SALES_SP, SUPPORT_RJ
from conversations.demo.events import Event
from conversations.demo.people import generate_people
from conversations.demo.rng import rng_for


def chat(text: str, mode: str = "phone", *, group: bool = False) -> Chat:
    """Return a demo chat whose live messages and other actions are those of the dialogue `text`."""
    people = generate_people(rng_for("test"), "pt", "rio")
    made = Chat(1, SUPPORT_RJ, 0, tuple(next(people) for _ in range(4)), live_index=LIVE_MODES.index(mode))
    if group:
        made.group_jid, made.live_index = "120363000000000000@g.us", None
    (dialogue,) = script.parse(f"== test\n{text}\n", "pt")
    # Find the first random seed for which the instance sends all its answers through the API and none from its phone.
    variants = (
        ConversationBuilder(made, dialogue, rng_for("play", number), CONNECTED).build() for number in range(100)
    )
    made.live = next(actions for actions in variants if not any(action.is_from_phone for action in actions))
    return made


def webhooks(text: str, mode: str = "phone", *, group: bool = False) -> list[Event]:
    return list(baileys.LiveChat(chat(text, mode, group=group)).events())


def names(events: Iterable[Event]) -> list[str]:
    return [event.name for event in events if event.name != "presence.update"]


def test_an_inbound_text_is_four_webhooks_and_six_in_a_new_chat() -> None:
    assert names(webhooks("c: oi\nc: oi\n")) == [
        "messages.upsert",
        "contacts.upsert",
        "chats.upsert",
        *["contacts.update", "contacts.update", "chats.update"],
        "messages.upsert",
        *["contacts.update", "contacts.update", "chats.update"],
    ]


def test_an_answer_is_seven_webhooks_after_the_question_is_read() -> None:
    assert names(webhooks("c: oi\na: olá\nc: tchau\n"))[6:14] == [
        "messages.update",
        "send.message",
        *["messages.update", "chats.upsert"] * 3,
    ]


def test_an_answer_marks_the_inbound_message_as_read() -> None:
    events = webhooks("c: oi\na: olá\n")
    question = next(event.data for event in events if event.name == "messages.upsert")
    read = next(event.data for event in events if event.name == "messages.update")
    assert (read["keyId"], read["fromMe"], read["status"]) == (question["key"]["id"], False, "READ")


def test_group_messages_have_no_acknowledgements() -> None:
    assert "messages.update" not in names(webhooks("1: oi\na: olá\n2: tchau\n", group=True))


def test_a_members_key_has_both_addresses_and_the_contact_update_has_the_groups() -> None:
    made = chat("1: oi", group=True)
    events = list(baileys.LiveChat(made).events())
    key = next(event.data["key"] for event in events if event.name == "messages.upsert")
    assert (key["participant"], key["participantAlt"]) == (made.people[0].lid_jid, made.people[0].jid)
    contact = next(event.data for event in events if event.name == "contacts.update" and isinstance(event.data, dict))
    assert (contact["remoteJid"], contact["pushName"]) == (made.group_jid, made.people[0].push_name)


def test_with_the_phone_number_twice_updates_have_the_lid() -> None:
    events = webhooks("c: oi\na: olá\nc: tchau\n", "phone_twice")
    key = next(event.data["key"] for event in events if event.name == "messages.upsert")
    assert key["remoteJid"] == key["remoteJidAlt"]
    assert key["addressingMode"] == "lid"
    assert all(event.data["remoteJid"].endswith("@lid") for event in events if event.name == "messages.update")


def test_a_phone_number_appears_after_some_messages() -> None:
    events = webhooks("c: a\nc: b\nc: c\nc: d\nc: e\nc: f\n", "lid_then_phone")
    keys = [event.data["key"] for event in events if event.name == "messages.upsert"]
    assert [key["remoteJid"].partition("@")[2] for key in keys] == ["lid"] * 4 + ["s.whatsapp.net"] * 2
    assert keys[-1]["remoteJidAlt"] == keys[0]["remoteJid"]


def test_an_inbound_edit_has_the_key_from_the_authors_perspective() -> None:
    events = webhooks("c: oi\nc: [edit] olá\n")
    message = next(event.data for event in events if event.name == "messages.upsert")
    edit = next(event.data for event in events if event.name == "messages.edited")
    assert edit["key"] == {"remoteJid": SUPPORT_RJ.owner_jid, "fromMe": True, "id": message["key"]["id"]}
    assert edit["editedMessage"] == {"conversation": "olá"}


def test_an_inbound_deletion_is_two_webhooks() -> None:
    events = webhooks("c: oi\nc: [delete]\n")
    assert names(events)[-2:] == ["messages.edited", "messages.delete"]
    assert events[-2].data["type"] == "REVOKE"
    assert events[-1].data["status"] == "DELETED"


def test_a_second_vote_replaces_the_first() -> None:
    events = webhooks("1: [poll Quando?|9h|14h]\n2: [vote 9h]\n3: [vote 9h]\n2: [vote 14h]\n", group=True)
    counts = [
        {option["name"]: len(option["voters"]) for option in event.data["pollUpdates"]}
        for event in events
        if event.name == "messages.upsert" and "pollUpdates" in event.data
    ]
    assert counts == [{"9h": 1, "14h": 0}, {"9h": 2, "14h": 0}, {"9h": 1, "14h": 1}]


@pytest.mark.parametrize(("kind", "statuses"), [("timeout", 3), ("reject", 2), ("accept", 3)])
def test_a_call_has_one_webhook_for_each_step(kind: str, statuses: int) -> None:
    calls = [event.data for event in webhooks(f"c: [call video {kind}]\n")]
    assert [call["status"] for call in calls][0::2][0] == "offer"
    assert len(calls) == statuses
    assert len({call["id"] for call in calls}) == 1
    assert all(call["isVideo"] for call in calls)


def test_a_reply_has_the_author_of_the_quoted_message() -> None:
    events = webhooks("c: oi\na^: olá\n")
    question = next(event.data for event in events if event.name == "messages.upsert")
    answer = next(event.data for event in events if event.name == "send.message")
    assert answer["contextInfo"]["stanzaId"] == question["key"]["id"]
    assert answer["contextInfo"]["participant"] == question["key"]["remoteJid"]
    assert answer["contextInfo"]["quotedMessage"] == {"conversation": "oi"}


def test_some_quiet_chats_have_only_a_lid() -> None:
    quiet = [chat for chat in build_chats(7, SALES_SP, 160, 10) if not chat.group_jid and not chat.live]
    modes = [ChatAddressing(chat).mode for chat in quiet]
    assert set(modes) == {"phone", "lid"}
    assert modes.count("lid") < len(quiet) / 10
