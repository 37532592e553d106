"""Every webhook event has a parser, and no payload makes a parser raise an unexpected error."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.evolution import events
from conversations.evolution.envelope import parse_envelope
from conversations.evolution.facts import MessageCopy
from conversations.webhooks.evolution_config import EVENTS
from tests.payloads import SAMPLES, sample


@pytest.mark.parametrize("name", SAMPLES)
def test_every_sample_is_parsed_without_problems(name: str) -> None:
    assert events.parse(parse_envelope(sample(name))).problems == ()


@pytest.mark.parametrize("name", EVENTS)
def test_every_subscribed_event_has_a_parser(name: str) -> None:
    events.parse(parse_envelope({"event": name, "data": []}))


def test_an_event_without_a_parser_is_an_error() -> None:
    with pytest.raises(events.UnknownEventError):
        events.parse(parse_envelope({"event": "new.thing", "data": {}}))


keys = st.sampled_from(
    [
        "key",
        "id",
        "remoteJid",
        "fromMe",
        "message",
        "conversation",
        "status",
        "data",
        "participants",
        "presences",
        "state",
    ]
)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
known_texts = st.sampled_from(["5521987654321@s.whatsapp.net", "204857316940182@lid", "1@g.us", "READ", "add", "open"])
json_values = st.recursive(
    scalars | known_texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=5),
    max_leaves=12,
)


@given(st.sampled_from(events.NAMES), json_values)
def test_any_data_gives_facts_or_described_problems(name: str, data: Any) -> None:
    body = {"event": name, "data": data, "date_time": "2025-12-11T10:00:00.000Z"}
    assert "" not in events.parse(parse_envelope(body)).problems


def test_an_item_of_unknown_shape_does_not_lose_the_other_items() -> None:
    body = sample("messages.set.json")
    body["data"].insert(1, {"nonsense": True})
    result = events.parse(parse_envelope(body))
    assert len(result.problems) == 1
    assert sum(isinstance(fact, MessageCopy) for fact in result.facts) == 3
