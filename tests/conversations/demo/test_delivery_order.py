from collections import Counter

import pytest

from conversations.demo import generate
from conversations.demo.delivery_order import shuffle_and_repeat
from conversations.demo.demo_instances import SALES_SP
from conversations.demo.events import Event
from conversations.demo.rng import rng_for

EVENTS = [Event(1000 * number, SALES_SP, "messages.upsert", {"number": number}) for number in range(2000)]


@pytest.fixture
def arrivals() -> list[Event]:
    return shuffle_and_repeat(EVENTS, rng_for("disorder"))


def test_no_event_is_lost(arrivals: list[Event]) -> None:
    assert [event for event in sorted(arrivals, key=lambda event: event.at) if not event.is_repetition] == EVENTS


def test_some_events_are_out_of_order(arrivals: list[Event]) -> None:
    first = [event.data["number"] for event in arrivals if not event.is_repetition]
    assert first != sorted(first)


def test_some_events_are_duplicated_and_some_restamped(arrivals: list[Event]) -> None:
    times: dict[int, list[int]] = {}
    for event in arrivals:
        times.setdefault(event.data["number"], []).append(event.at)
    kinds = Counter("same" if len(set(each)) == 1 else "new" for each in times.values() if len(each) == 2)
    assert kinds["same"] > 10
    assert kinds["new"] > 10
    assert max(len(each) for each in times.values()) == 2


def test_events_other_than_messages_are_only_duplicated() -> None:
    states = [Event(1000 * number, SALES_SP, "chats.delete", [str(number)]) for number in range(2000)]
    again = [event for event in shuffle_and_repeat(states, rng_for("states")) if event.is_repetition]
    assert again
    assert all(event in states for event in (Event(e.at, e.instance, e.name, e.data) for e in again))


def test_some_acknowledgements_arrive_before_their_messages() -> None:
    events = generate.history(7, 300, 25)
    sent = {
        event.data["key"]["id"]: n for n, event in reversed(list(enumerate(events))) if event.name == "send.message"
    }
    acks = [(n, event.data["keyId"]) for n, event in enumerate(events) if event.name == "messages.update"]
    assert any(n < sent[key_id] for n, key_id in acks if key_id in sent)
