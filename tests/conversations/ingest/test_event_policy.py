"""Only latest-state events are debounced, debounce windows end on time, and history imports are split into parts."""

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import pytest

from conversations.evolution.large_json.values import LargeList
from conversations.ingest import event_policy


@pytest.mark.parametrize(
    ("name", "is_debounced"),
    [
        ("messages.upsert", False),
        ("send.message", False),
        ("messages.edited", False),
        ("send.message.update", False),
        ("messages.delete", False),
        ("messages.set", False),
        ("chats.delete", False),
        ("call", False),
        ("logout.instance", False),
        ("unknown.event", False),
        ("messages.update", True),
        ("contacts.update", True),
        ("contacts.upsert", True),
        ("chats.update", True),
        ("chats.upsert", True),
        ("presence.update", True),
        ("connection.update", True),
        ("qrcode.updated", True),
    ],
)
def test_only_latest_state_events_are_debounced(name: str, is_debounced: bool) -> None:  # noqa: FBT001 - pytest passes the argument by keyword
    assert event_policy.is_latest_state(name, {"data": {"keyId": "A", "status": "READ"}}) is is_debounced


@pytest.mark.parametrize("content", [{"message": {"editedMessage": {}}}, {"pollUpdates": [{}]}])
def test_an_acknowledgement_with_an_edit_or_a_vote_is_not_debounced(content: dict[str, Any]) -> None:
    for data in ({"keyId": "A", **content}, [{"keyId": "A"}, {"keyId": "B", **content}]):
        assert not event_policy.is_latest_state("messages.update", {"data": data})


def test_a_window_depends_only_on_the_clock_and_differs_between_instances() -> None:
    now = dt.datetime(2026, 1, 1, 12, 0, 0, 123456, dt.UTC)
    ends = [event_policy.due_at(now, 2.0, instance) for instance in range(100)]
    assert all(now < end <= now + dt.timedelta(seconds=2) for end in ends)
    assert len({end.microsecond // 20_000 for end in ends}) > 20
    for instance, end in enumerate(ends):
        just_before = end - dt.timedelta(microseconds=2)
        assert event_policy.due_at(max(now, just_before), 2.0, instance) == end
        assert event_policy.due_at(end, 2.0, instance) - end >= dt.timedelta(seconds=1.99)


def test_without_a_window_events_are_due_now() -> None:
    now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    assert event_policy.due_at(now, 0, 7) == now


NAME = "messages.set"


def test_a_body_with_many_records_is_split_and_each_part_keeps_the_other_fields() -> None:
    body = {"event": "messages.set", "progress": 40, "data": list(range(5))}
    parts = event_policy.split(NAME, body, 2)
    assert [part["data"] for part in parts] == [[0, 1], [2, 3], [4]]
    assert {part["progress"] for part in parts} == {40}


@pytest.mark.parametrize("body", [{"data": [1, 2]}, {"data": {"1": 1, "2": 2, "3": 3}}, [1, 2, 3]])
def test_bodies_with_few_records_are_not_split(body: object) -> None:
    assert event_policy.split(NAME, body, 2) == [body]


def test_a_body_with_very_many_records_has_a_limited_number_of_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_policy, "MAX_PARTS", 7)
    parts = event_policy.split(NAME, {"data": [0] * 10_000}, 2)
    assert len(parts) == 7
    assert sum(len(part["data"]) for part in parts) == 10_000


@pytest.mark.parametrize(
    ("name", "field", "persons"),
    [("groups.upsert", "participants", list(range(9))), ("presence.update", "presences", dict.fromkeys("abcdefghi"))],
)
def test_persons_count_like_records(name: str, field: str, persons: Any) -> None:
    small: dict[str, Any] = {field: []}
    large = {field: persons}
    body = {"data": [small, large, large, small, small, small, "none"]}
    parts = [part["data"] for part in event_policy.split(name, body, 10)]
    assert parts == [[small, large], [large], [small, small, small, "none"]]
    assert event_policy.split("labels.edit", body, 10) == [body]


@pytest.mark.parametrize("name", ["messages.upsert", "messages.set", "messages.update", "send.message"])
@pytest.mark.parametrize("encode", [bytes, lambda text: text.replace(b"pollUpdates", rb"poll\u0055pdates")])
def test_the_voters_of_polls_count_like_records(name: str, encode: Callable[[bytes], bytes]) -> None:
    poll = {"pollUpdates": [{"name": "yes", "voters": list(range(6))}, {"name": "no", "voters": [1, 2, 3]}, {}]}
    data = [{}, poll, poll, {}, {}, {}, "none", {"pollUpdates": "none"}]
    parts = [part["data"] for part in event_policy.split(name, {"data": data}, 10)]
    assert parts == [data[:2], data[2:3], data[3:]]
    encoded = LargeList(json.JSONDecoder(), [encode(json.dumps(record).encode()) for record in data])
    assert [list(part["data"]) for part in event_policy.split(name, {"data": encoded}, 10)] == parts


def test_parts_with_many_persons_have_a_limited_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_policy, "MAX_PARTS", 7)
    data = [{"participants": [0] * count} for count in (99, 1, 5, 30, 0) * 20]
    parts = event_policy.split("groups.upsert", {"data": data}, 2)
    assert len(parts) <= 7
    assert [record for part in parts for record in part["data"]] == data


ENVELOPE = {
    "event": "messages.set",
    "instance": "shop",
    "destination": "https://whatsai.example.com/webhooks/evolution/shop",
    "date_time": "2026-01-01T00:00:00.000Z",
    "sender": "5511999990001@s.whatsapp.net",
    "server_url": "https://evo.example.com",
    "apikey": None,
    "isLatest": False,
    "progress": 40,
}


def test_each_part_repeats_the_fields_that_evolution_sends() -> None:
    parts = event_policy.split(NAME, ENVELOPE | {"data": list(range(25))}, 10)
    assert parts == [ENVELOPE | {"data": list(range(start, min(start + 10, 25)))} for start in (0, 10, 20)]


@pytest.mark.parametrize(
    "others", [{"text": "short"}, {"sender": "x" * 256}, {"progress": [1]}, {f"field {n}": "x" * 99 for n in range(99)}]
)
def test_only_the_first_part_keeps_long_and_other_fields(others: dict[str, Any]) -> None:
    body = {"event": "messages.set", "instance": "shop", **others, "data": list(range(25))}
    first, *later = event_policy.split(NAME, body, 10)
    assert first == body | {"data": list(range(10))}
    assert later == [
        {"event": "messages.set", "instance": "shop", "data": data}
        for data in (list(range(10, 20)), list(range(20, 25)))
    ]
