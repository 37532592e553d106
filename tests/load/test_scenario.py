import json
from collections import Counter

import pytest

from conversations.demo import demo_clock
from conversations.demo.events import Event
from conversations.evolution import envelope, events
from tests.load import requests, scenario
from tests.load.plan import Plan
from tests.load.scenario import Scenario

PLAN = Plan(rate=300, seconds=20, instances=10)


@pytest.fixture(scope="module")
def whole() -> Scenario:
    return scenario.build_scenario(PLAN)


def test_there_are_as_many_events_as_the_plan_needs(whole: Scenario) -> None:
    assert len(whole.events) == PLAN.posts - PLAN.repetitions


def test_every_body_is_one_that_the_contract_knows(whole: Scenario) -> None:
    for event in whole.events:
        reading = events.read(envelope.parse_envelope(json.loads(json.dumps(event.body))))
        assert not reading.problems, event.body


def test_everything_that_comes_along_with_messages_is_there(whole: Scenario) -> None:
    names = Counter(event.name for event in whole.events)
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
    assert names["contacts.update"] > names["messages.upsert"]  # two of them a message


def test_messages_are_of_many_kinds_in_direct_chats_and_groups(whole: Scenario) -> None:
    bubbles = [event.data for event in whole.events if scenario.is_bubble(event)]
    kinds = Counter(data["messageType"] for data in bubbles)
    assert kinds.keys() >= {"conversation", "imageMessage", "audioMessage", "documentMessage"}
    assert {data["key"]["remoteJid"].partition("@")[2] for data in bubbles} == {"s.whatsapp.net", "lid", "g.us"}
    assert {data["key"]["fromMe"] for data in bubbles} == {True, False}


def test_some_addresses_are_learned_late(whole: Scenario) -> None:
    seen: dict[tuple[str, str], set[str]] = {}
    whose = scenario.addresses(whole.chats)
    for event in whole.events:
        if scenario.is_bubble(event):
            jid = event.data["key"]["remoteJid"]
            seen.setdefault((event.channel.name, whose[event.channel.name, jid]), set()).add(jid)
    assert any(len(jids) == 2 for jids in seen.values())


def test_pictures_are_as_large_as_they_usually_are_and_some_have_their_file(whole: Scenario) -> None:
    pictures = [
        event for event in whole.events if scenario.is_bubble(event) and "imageMessage" in event.data["message"]
    ]
    assert all(len(event.delivery.body) > 5_000 for event in pictures)
    assert 0 < sum("base64" in event.data["message"] for event in pictures) < len(pictures)


def test_messages_only_are_nothing_but_new_messages() -> None:
    whole = scenario.build_scenario(Plan(rate=100, seconds=5, instances=3, messages_only=True))
    assert {event.name for event in whole.events if not scenario.is_bubble(event)} == {"connection.update"}
    assert sum(map(scenario.is_bubble, whole.events)) > 300


def test_a_request_is_what_axios_would_send() -> None:
    event = Event(
        demo_clock.END, scenario.channel(7, 1), "chats.update", [{"remoteJid": "5511900000001@s.whatsapp.net"}]
    )
    head, _, body = requests.post(event, "secret", "127.0.0.1:8000").partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /webhooks/evolution/load-01 HTTP/1.1"
    assert {f"Content-Length: {len(body)}", "Authorization: Bearer secret", "Host: 127.0.0.1:8000"} <= set(lines)
    assert json.loads(body) == event.body
