"""Messages with rare content give the expected facts, whatever values a sender puts into them."""

import copy
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conversations.evolution.facts import Fact, MessageCopy, MessageUpdate
from tests.conversations.ingest.apply.orders import facts_of
from tests.conversations.ingest.bodies import Body
from tests.conversations.rare_messages import MESSAGES, body_of

SHOWN = ("kind", "text", "media", "details", "quoted_key_id", "quoted_sender", "quoted_text")
MAX_DETAILS = 10_000  # 6,000 bytes of content and 3,000 of context, and what stands between them
Path = tuple[str | int, ...]


def shown_by(facts: tuple[Fact, ...]) -> dict[str, Any]:
    """Return what facts state about chat messages, in the form of `gives`."""
    shown: dict[str, Any] = {}
    for fact in facts:
        if isinstance(fact, MessageCopy):
            fields = {name: getattr(fact, name) for name in SHOWN}
            shown |= {name: value for name, value in fields.items() if value or name in ("kind", "text")}
        elif isinstance(fact, MessageUpdate) and fact.kind != "album":
            value = {name: value for name, value in fact.value.items() if name not in ("at", "who")}
            update = {"kind": fact.kind, "key_id": fact.key_id, "value": value}
            if update not in shown.setdefault("updates", []):
                shown["updates"].append(update)
    return shown


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_gives_what_is_expected(name: str) -> None:
    assert shown_by(facts_of(body_of(MESSAGES[name]))) == MESSAGES[name]["gives"]


# --- any value at any place -------------------------------------------------------------------------------------------
def paths(value: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the path of each value inside a JSON value."""
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, member in members:
        yield (*path, name)
        yield from paths(member, (*path, name))


def replaced(body: Body, path: Path, value: Any) -> Body:
    """Return a copy of a body with another value at a path."""
    body = copy.deepcopy(body)
    *parents, name = path
    target: Any = body
    for parent in parents:
        target = target[parent]
    target[name] = value
    return body


def places_of(text: str, body: Body) -> list[Path]:
    """Return the paths of the strings in a message that are a part of its text."""
    found = []
    for path in paths(body["data"]["message"], ("data", "message")):
        value: Any = body
        for name in path:
            value = value[name]
        if isinstance(value, str) and value and value in text:
            found.append(path)
    return found


def nested(levels: int) -> Any:
    value: Any = "fundo"
    for level in range(levels):
        value = {"message": value} if level % 2 else [value]
    return value


HOSTILE = [
    None, True, 0, -1, 1.5, 10**400, -(2**63), 1e308, "", "0", "x" * 20_001, "https://x.y " * 1700, "\ud800\x00",
    [], [[]], {}, {"0": 1}, {"low": 2**40, "high": -1}, {"low": "x", "high": None}, {"type": "Buffer", "data": [1]},
    {"id": {"id": 1}}, {"message": {"message": None}}, [None] * 300, {"text": ["a"]}, nested(90),
]  # fmt: skip
json_values = st.sampled_from(HOSTILE) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)
bodies = [(described, body_of(described)) for described in MESSAGES.values()]
places = [(described, body, path) for described, body in bodies for path in paths(body["data"], ("data",))]


@settings(max_examples=100)
@given(st.sampled_from(places), json_values)
def test_any_value_at_any_place_raises_nothing(place: tuple[Body, Body, Path], value: Any) -> None:
    _, body, path = place
    for fact in facts_of(replaced(body, path, value)):
        if isinstance(fact, MessageCopy):
            check_stored(fact)


def check_stored(fact: MessageCopy) -> None:
    """Check what a row stores of a message: a bounded size, names in snake_case, and texts."""
    assert len(json.dumps(fact.details, ensure_ascii=False)) < MAX_DETAILS
    names = [name for path in paths(fact.details) for name in path if isinstance(name, str)]
    assert [name for name in names if not re.fullmatch(r"[a-z0-9_]+", name)] == []
    assert all(isinstance(getattr(fact, name), str) for name in ("kind", "text", "quoted_key_id", "quoted_text"))


@settings(max_examples=100)
@given(st.sampled_from([place for place in places if place[2][:2] == ("data", "message")]), json_values)
def test_a_value_beside_the_text_does_not_lose_the_text(place: tuple[Body, Body, Path], value: Any) -> None:
    described, body, path = place
    text = described["gives"].get("text", "")
    places_of_text = places_of(text, body)  # none, if the text is a part of a value, as in a vCard
    if not text or not places_of_text or any(path[: len(found)] == found[: len(path)] for found in places_of_text):
        return
    copies = [fact for fact in facts_of(replaced(body, path, value)) if isinstance(fact, MessageCopy)]
    assert [text in copy.text for copy in copies] == [True]
