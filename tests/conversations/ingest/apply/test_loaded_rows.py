"""What is loaded and stored for an event is bounded, whatever was sent before it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.db.models import Model
from django.db.models.signals import post_init
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conversations.evolution.facts import Fact, MessageUpdate
from conversations.ingest.apply import merge_rules, message_rows, messages, parts
from conversations.models import Conversation, Instance, Message, Participant, PendingUpdate
from tests.conversations.ingest.apply.orders import (
    apply_at_once,
    apply_bodies,
    apply_in_every_order,
    apply_one_by_one,
    facts_of,
    new_instance,
)
from tests.conversations.ingest.apply.test_album_limit import picture
from tests.conversations.ingest.apply.test_album_limit import reaction as album_reaction
from tests.conversations.ingest.apply.test_key_id_limit import streams as same_key_streams
from tests.conversations.ingest.bodies import GROUP, LID, PHONE, Body, envelope, text
from tests.conversations.ingest.receive import apply_facts
from tests.conversations.ingest.streams import events as any_event
from tests.effort import effort

pytestmark = pytest.mark.django_db

LONG = [f"{number:02}" + "x" * 98 for number in range(12)]
EXAMPLES = effort(10 if connection.vendor == "sqlite" else 4, 300)
on_new_instances = settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])


def votes(key_id: str, voters: range, jid: str = GROUP) -> Body:
    results = [{"name": name, "voters": [f"{7000 + n}@lid" for n in voters]} for name in LONG]
    return envelope("messages.update", {"keyId": key_id, "remoteJid": jid, "fromMe": False, "pollUpdates": results})


def status(key_id: str, jid: str = GROUP) -> Body:
    return envelope("messages.update", {"keyId": key_id, "remoteJid": jid, "fromMe": False, "status": "READ"})


def facts_of_all(*bodies: Body) -> list[Fact]:
    return [fact for body in bodies for fact in facts_of(body)]


def key_ids(part: list[Fact]) -> list[str]:
    return [fact.key_id for fact in part if isinstance(fact, MessageUpdate)]


@pytest.fixture
def made() -> Iterator[list[Model]]:
    """Collect the objects of messages, pending updates and participants that are made in a test."""
    found: list[Model] = []

    def collect(instance: Model, **_: Any) -> None:
        found.append(instance)

    for model in (Message, PendingUpdate, Participant):
        post_init.connect(collect, sender=model)
    yield found
    for model in (Message, PendingUpdate, Participant):
        post_init.disconnect(collect, sender=model)


def test_the_votes_of_a_poll_are_bounded_however_many_events_bring_them() -> None:
    instance = new_instance()
    apply_bodies(instance, text("P", GROUP, key={"participant": PHONE}))
    for start in range(0, 300, 100):
        apply_bodies(instance, votes("P", range(start, start + 100)))
    (row,) = Message.objects.filter(instance=instance)
    assert 150 < len(row.poll_results) <= 210
    assert len(json.dumps(row.poll_results)) < merge_rules.MAX_STATEMENTS_JSON + 1_500


def test_the_pending_updates_of_a_key_id_are_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "MAX_PENDING_JSON", 20_000)
    instance = new_instance()
    for start in range(0, 60, 20):
        apply_bodies(instance, votes("P", range(start, start + 20)))
    values = PendingUpdate.objects.filter(instance=instance).values_list("value", flat=True)
    assert 10 < len(values) < 20
    assert sum(len(json.dumps(value)) for value in values) < 21_500


def test_the_same_pending_updates_are_kept_in_every_order(monkeypatch: pytest.MonkeyPatch) -> None:
    size = len(json.dumps({"options": LONG, "who": "7000@lid"}))
    monkeypatch.setattr(messages, "MAX_PENDING_JSON", 2 * size)
    rows = apply_in_every_order(*(votes("P", range(n, n + 1)) for n in range(4)))
    assert sorted(row["subject"] for row in rows["pending_updates"]) == ["lid:7000", "lid:7001"]


def test_a_long_edit_waits_for_its_message_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "MAX_PENDING_JSON", 10)
    edited = {"key": {"id": "A"}, "type": 14, "editedMessage": {"conversation": "o" * 100}, "timestampMs": 5}
    (row,) = apply_in_every_order(text("A"), envelope("messages.edited", edited))["messages"]
    assert row["text"] == "o" * 100


# --- parts ------------------------------------------------------------------------------------------------------------
def polls(count: int) -> Instance:
    """Return an instance with polls that have ten long votes each, and as many pending ones."""
    instance = new_instance()
    apply_facts(instance, facts_of_all(*(text(f"P{n}", GROUP, key={"participant": PHONE}) for n in range(count))))
    apply_facts(instance, facts_of_all(*(votes(f"P{n}", range(10)) for n in range(count))))
    return instance


def test_the_facts_of_large_rows_are_applied_in_parts() -> None:
    instance = polls(12)
    sizes = [len(json.dumps(row.poll_results)) for row in Message.objects.filter(instance=instance)]
    assert min(sizes) > 12_000
    other = envelope("contacts.upsert", [{"remoteJid": PHONE, "pushName": "Ana"}])
    bodies = [status(f"P{n % 12}") for n in range(24)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "MAX_LOADED", 100_000)
        found = list(parts.split(instance, facts_of_all(*bodies, other)))
    keys = [key_ids(part) for part in found]
    assert sorted(key for part in keys for key in part) == sorted([f"P{n}" for n in range(12)] * 2)
    assert sum(len(set(part)) for part in keys) == 12  # the facts of one key id stay together
    assert 1 < max(len(set(part)) for part in keys) <= 4  # each has 12 kB of votes, and as many pending ones
    assert [any(not isinstance(fact, MessageUpdate) for fact in part) for part in found] == [True] + [False] * (
        len(found) - 1
    )


def test_an_ordinary_batch_is_one_part() -> None:
    instance = polls(6)
    facts = facts_of_all(*(status(f"P{n}") for n in range(6)))
    with CaptureQueriesContext(connection) as queries:
        assert list(parts.split(instance, facts)) == [facts]
    assert len(queries) == 2
    with CaptureQueriesContext(connection) as queries:
        assert list(parts.split(instance, facts[: parts.UNMEASURED])) == [facts[: parts.UNMEASURED]]
    assert not len(queries)


def test_the_messages_of_an_album_count_for_a_reaction_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    instance = new_instance()
    apply_bodies(instance, *(picture(f"P{n}", n, GROUP) for n in range(3)))
    apply_facts(instance, facts_of_all(*(votes(f"P{n}", range(10)) for n in range(3))))
    facts = facts_of_all(album_reaction(GROUP), *(status(f"N{n}") for n in range(5)))
    monkeypatch.setattr(parts, "MAX_LOADED", 30_000)
    assert [key_ids(part) for part in parts.split(instance, facts)] == [["ALBUM"], [f"N{n}" for n in range(5)]]


def test_a_part_has_few_facts_about_crowded_key_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(message_rows, "MAX_SAME_KEY", 2)
    monkeypatch.setattr(parts, "MAX_SAME_KEY", 2)
    instance = new_instance()
    jids = [f"{1000000 + n}@s.whatsapp.net" for n in range(100)]
    apply_facts(instance, facts_of_all(*(text("X", jid) for jid in jids)))
    facts = facts_of_all(*(status("X", jid) for jid in jids), *(status(f"N{n}") for n in range(5)))
    sizes = [key_ids(part).count("X") for part in parts.split(instance, facts)]
    assert sum(sizes) == 100
    assert max(sizes) <= parts.MAX_LOADED // parts.CROWDED


@pytest.fixture
def _smallest_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "MAX_LOADED", 1)
    monkeypatch.setattr(parts, "UNMEASURED", 0)


@pytest.mark.usefixtures("_smallest_parts")
@on_new_instances
@given(st.lists(any_event, min_size=2, max_size=8) | same_key_streams)
def test_parts_give_the_same_rows_as_one_batch(stream: list[Body]) -> None:
    in_parts = apply_at_once(stream)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "MAX_LOADED", 2**40)
        assert apply_at_once(stream) == in_parts
        assert apply_one_by_one(stream) == in_parts


@pytest.mark.usefixtures("_smallest_parts")
def test_a_reaction_to_an_album_reaches_a_message_that_is_in_another_part() -> None:
    rows = apply_in_every_order(picture("P0", 0), picture("P1", 1), album_reaction())
    assert all(row["reactions"] for row in rows["messages"])


def test_the_pending_updates_of_a_contact_are_applied_in_parts(
    monkeypatch: pytest.MonkeyPatch, made: list[Model]
) -> None:
    monkeypatch.setattr(parts, "MAX_LOADED", 3 * parts.ROW)
    instance = new_instance()
    apply_facts(instance, facts_of_all(*(text(f"M{n}", LID) for n in range(12))))
    for n in range(12):
        apply_bodies(instance, status(f"M{n}", PHONE))
    assert not Message.objects.filter(status=4).exists()
    made.clear()
    with CaptureQueriesContext(connection) as queries:
        apply_bodies(instance, envelope("contacts.upsert", [{"remoteJid": PHONE, "lid": LID}]))
    assert Message.objects.filter(status=4).count() == 12
    loads = [query for query in queries if 'FROM "conversations_pendingupdate"' in query["sql"]]
    assert len(loads) >= 12 // 3
    assert len(made) <= 3 * 12


# --- memberships ------------------------------------------------------------------------------------------------------
def test_the_participants_that_are_named_are_loaded_and_no_others(made: list[Model]) -> None:
    def groups(*members: str) -> list[Body]:
        participants = [{"id": jid} for jid in members]
        return [{"id": f"12036300000000{n:03}@g.us", "participants": participants} for n in range(9)]

    jids = [f"{7000 + n}@lid" for n in range(9)]
    instance = new_instance()
    apply_bodies(instance, envelope("groups.upsert", groups(*jids)))
    named = [{**group, "participants": [{"id": jid}]} for group, jid in zip(groups(), jids, strict=True)]
    facts = facts_of(envelope("groups.upsert", named, clock="2025-12-11T11:00:00.000Z"))
    made.clear()
    with CaptureQueriesContext(connection) as queries:
        apply_facts(instance, facts)
    assert len(made) == 2 * 9  # what is loaded, and what is merged into it
    assert len([query for query in queries if 'FROM "conversations_participant"' in query["sql"]]) == 1
    later = Participant.objects.filter(conversation__instance=instance, clock__contains="11:00")
    assert later.count() == Conversation.objects.filter(instance=instance, kind="group").count() == 9
