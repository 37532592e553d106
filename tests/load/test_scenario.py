import json
from collections import Counter

import pytest

from conversations.evolution import envelope, events
from tests.load.plan import Plan
from tests.load.scenario import Scenario, address_owners, build_scenario, is_new_message

PLAN = Plan(rate=300, seconds=20, instances=10)


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return build_scenario(PLAN)


def test_there_are_as_many_events_as_the_plan_needs(scenario: Scenario) -> None:
    assert len(scenario.events) == PLAN.posts - PLAN.repetitions


def test_every_body_parses_without_problems(scenario: Scenario) -> None:
    for event in scenario.events:
        reading = events.parse(envelope.parse_envelope(json.loads(json.dumps(event.body))))
        assert not reading.problems, event.body


def test_messages_are_accompanied_by_updates_contacts_chats_and_presences(scenario: Scenario) -> None:
    names = Counter(event.name for event in scenario.events)
    assert names.keys() >= {
        "messages.upsert",
        "send.message",
        "messages.update",
        "messages.edited",
        "send.message.update",
        "messages.delete",
        "contacts.update",
        "contacts.upsert",
        "chats.update",
        "chats.upsert",
        "presence.update",
        "connection.update",
    }
    assert names["contacts.update"] > names["messages.upsert"]  # Evolution sends two contact updates for each message


def test_there_are_many_kinds_of_messages_in_direct_chats_and_groups(scenario: Scenario) -> None:
    messages = [event.data for event in scenario.events if is_new_message(event)]
    kinds = Counter(data["messageType"] for data in messages)
    assert kinds.keys() >= {"conversation", "imageMessage", "audioMessage", "documentMessage"}
    assert {data["key"]["remoteJid"].partition("@")[2] for data in messages} == {"s.whatsapp.net", "lid", "g.us"}
    assert {data["key"]["fromMe"] for data in messages} == {True, False}


def test_some_chats_use_both_addresses_of_a_person(scenario: Scenario) -> None:
    jids: dict[tuple[str, str], set[str]] = {}
    owners = address_owners(scenario.chats)
    for event in scenario.events:
        if is_new_message(event):
            jid = event.data["key"]["remoteJid"]
            jids.setdefault((event.instance.name, owners[event.instance.name, jid]), set()).add(jid)
    assert any(len(addresses) == 2 for addresses in jids.values())


def test_pictures_have_a_realistic_size_and_some_include_their_file(scenario: Scenario) -> None:
    pictures = [event for event in scenario.events if is_new_message(event) and "imageMessage" in event.data["message"]]
    assert all(len(event.delivery.body) > 5_000 for event in pictures)
    assert 0 < sum("base64" in event.data["message"] for event in pictures) < len(pictures)


def test_messages_only_leaves_new_messages_and_connection_states() -> None:
    scenario = build_scenario(Plan(rate=100, seconds=5, instances=3, messages_only=True))
    assert {event.name for event in scenario.events if not is_new_message(event)} == {"connection.update"}
    assert sum(map(is_new_message, scenario.events)) > 300
