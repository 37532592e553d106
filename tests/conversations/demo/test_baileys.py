from collections.abc import Iterable

import pytest

from conversations.demo import baileys, conversations, script
from conversations.demo.addressing import LIVE_NAMINGS, ChatAddressing
from conversations.demo.chat_plan import Chat
from conversations.demo.conversation_builder import ConversationBuilder
from conversations.demo.demo_clock import CONNECTED
from conversations.demo.demo_instances import SUPORTE, VENDAS
from conversations.demo.events import Event
from conversations.demo.people import generate_people
from conversations.demo.rng import rng_for


def chat(text: str, naming: str = "phone", *, group: bool = False) -> Chat:
    """A live chat that plays `text`, one line each."""
    people = generate_people(rng_for("test"), "pt", "rio")
    made = Chat(1, SUPORTE, 0, tuple(next(people) for _ in range(4)), live_number=LIVE_NAMINGS.index(naming))
    if group:
        made.group_jid, made.live_number = "120363000000000000@g.us", None
    (scene,) = script.read(f"== test\n{text}\n", "pt")
    # The first of these streams whose instance answers through the API.
    performances = (
        ConversationBuilder(made, scene, rng_for("play", number), CONNECTED).build() for number in range(100)
    )
    made.live = next(turns for turns in performances if not any(turn.by_phone for turn in turns))
    return made


def told(text: str, naming: str = "phone", *, group: bool = False) -> list[Event]:
    return list(baileys.LiveChat(chat(text, naming, group=group)).events())


def names(events: Iterable[Event]) -> list[str]:
    return [event.name for event in events if event.name != "presence.update"]


def test_one_inbound_text_is_four_webhooks_and_two_more_when_the_chat_is_new() -> None:
    assert names(told("c: oi\nc: oi\n")) == [
        "messages.upsert",
        "contacts.upsert",
        "chats.upsert",
        *["contacts.update", "contacts.update", "chats.update"],
        "messages.upsert",
        *["contacts.update", "contacts.update", "chats.update"],
    ]


def test_one_answer_is_seven_webhooks_after_the_question_was_read() -> None:
    assert names(told("c: oi\na: olá\nc: tchau\n"))[6:14] == [
        "messages.update",
        "send.message",
        *["messages.update", "chats.upsert"] * 3,
    ]


def test_what_we_read_elsewhere_is_said_of_their_message() -> None:
    events = told("c: oi\na: olá\n")
    question = next(event.data for event in events if event.name == "messages.upsert")
    read = next(event.data for event in events if event.name == "messages.update")
    assert (read["keyId"], read["fromMe"], read["status"]) == (question["key"]["id"], False, "READ")


def test_a_group_acknowledges_nothing() -> None:
    assert "messages.update" not in names(told("1: oi\na: olá\n2: tchau\n", group=True))


def test_a_member_is_named_by_both_addresses_and_the_contact_update_names_the_group() -> None:
    told_ = chat("1: oi", group=True)
    events = list(baileys.LiveChat(told_).events())
    key = next(event.data["key"] for event in events if event.name == "messages.upsert")
    assert (key["participant"], key["participantAlt"]) == (told_.people[0].lid_jid, told_.people[0].jid)
    contact = next(event.data for event in events if event.name == "contacts.update" and isinstance(event.data, dict))
    assert (contact["remoteJid"], contact["pushName"]) == (told_.group_jid, told_.people[0].push_name)


def test_under_an_alias_the_message_has_the_number_and_all_that_follows_the_lid() -> None:
    events = told("c: oi\na: olá\nc: tchau\n", "alias")
    key = next(event.data["key"] for event in events if event.name == "messages.upsert")
    assert key["remoteJid"] == key["remoteJidAlt"]
    assert key["addressingMode"] == "lid"
    assert all(event.data["remoteJid"].endswith("@lid") for event in events if event.name == "messages.update")


def test_a_number_is_revealed_after_a_while() -> None:
    events = told("c: a\nc: b\nc: c\nc: d\nc: e\nc: f\n", "revealed")
    keys = [event.data["key"] for event in events if event.name == "messages.upsert"]
    assert [key["remoteJid"].partition("@")[2] for key in keys] == ["lid"] * 4 + ["s.whatsapp.net"] * 2
    assert keys[-1]["remoteJidAlt"] == keys[0]["remoteJid"]


def test_a_contacts_edit_comes_in_the_editors_perspective() -> None:
    events = told("c: oi\nc: [edit] olá\n")
    bubble = next(event.data for event in events if event.name == "messages.upsert")
    edit = next(event.data for event in events if event.name == "messages.edited")
    assert edit["key"] == {"remoteJid": SUPORTE.owner_jid, "fromMe": True, "id": bubble["key"]["id"]}
    assert edit["editedMessage"] == {"conversation": "olá"}


def test_a_contacts_deletion_is_told_twice() -> None:
    events = told("c: oi\nc: [delete]\n")
    assert names(events)[-2:] == ["messages.edited", "messages.delete"]
    assert events[-2].data["type"] == "REVOKE"
    assert events[-1].data["status"] == "DELETED"


def test_who_votes_again_has_changed_their_mind() -> None:
    events = told("1: [poll Quando?|9h|14h]\n2: [vote 9h]\n3: [vote 9h]\n2: [vote 14h]\n", group=True)
    counts = [
        {option["name"]: len(option["voters"]) for option in event.data["pollUpdates"]}
        for event in events
        if event.name == "messages.upsert" and "pollUpdates" in event.data
    ]
    assert counts == [{"9h": 1, "14h": 0}, {"9h": 2, "14h": 0}, {"9h": 1, "14h": 1}]


@pytest.mark.parametrize(("kind", "statuses"), [("timeout", 3), ("reject", 2), ("accept", 3)])
def test_a_call_is_told_step_by_step(kind: str, statuses: int) -> None:
    calls = [event.data for event in told(f"c: [call video {kind}]\n")]
    assert [call["status"] for call in calls][0::2][0] == "offer"
    assert len(calls) == statuses
    assert len({call["id"] for call in calls}) == 1
    assert all(call["isVideo"] for call in calls)


def test_a_quotation_names_the_author_of_what_it_quotes() -> None:
    events = told("c: oi\na^: olá\n")
    question = next(event.data for event in events if event.name == "messages.upsert")
    answer = next(event.data for event in events if event.name == "send.message")
    assert answer["contextInfo"]["stanzaId"] == question["key"]["id"]
    assert answer["contextInfo"]["participant"] == question["key"]["remoteJid"]
    assert answer["contextInfo"]["quotedMessage"] == {"conversation": "oi"}


def test_a_quiet_chat_may_have_hidden_its_number_all_the_time() -> None:
    quiet = [chat for chat in conversations.build_chats(7, VENDAS, 160, 10) if not chat.group_jid and not chat.live]
    namings = [ChatAddressing(chat).naming for chat in quiet]
    assert set(namings) == {"phone", "hidden"}
    assert namings.count("hidden") < len(quiet) / 10
