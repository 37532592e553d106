"""Every event of the contract has a reader, and no payload makes one fail in an unforeseen way."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.evolution import envelope, events
from conversations.webhooks.evolution_config import EVENTS
from tests.payloads import SAMPLES, sample


@pytest.mark.parametrize("name", SAMPLES)
def test_every_sample_is_wholly_understood(name: str) -> None:
    assert events.read(envelope.parse_envelope(sample(name))).problems == ()


@pytest.mark.parametrize("name", EVENTS)
def test_every_event_that_is_subscribed_to_has_a_reader(name: str) -> None:
    events.read(envelope.parse_envelope({"event": name, "data": []}))


@pytest.mark.parametrize("form", ["messages.upsert", "MESSAGES_UPSERT", "messages-upsert", " Messages.Upsert "])
def test_an_event_has_one_name_in_all_its_forms(form: str) -> None:
    assert envelope.event_name(form) == "messages.upsert"


def test_the_url_names_the_event_where_the_body_does_not() -> None:
    assert envelope.parse_envelope({"data": {}}, "group-participants-update").event == "group.participants.update"


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
atoms = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
texts = st.sampled_from(["5521987654321@s.whatsapp.net", "204857316940182@lid", "1@g.us", "READ", "add", "open"])
anything = st.recursive(
    atoms | texts, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=5), max_leaves=12
)


@given(st.sampled_from(events.NAMES), anything)
def test_any_data_gives_facts_or_named_problems(name: str, data: Any) -> None:
    reading = events.read(
        envelope.parse_envelope({"event": name, "data": data, "date_time": "2025-12-11T10:00:00.000Z"})
    )
    assert "" not in reading.problems


def test_one_item_that_is_not_understood_does_not_lose_the_others() -> None:
    body = sample("messages.set.json")
    body["data"].insert(1, {"nonsense": True})
    reading = events.read(envelope.parse_envelope(body))
    assert len(reading.problems) == 1
    assert sum(type(fact).__name__ == "MessageSeen" for fact in reading.facts) == 3
