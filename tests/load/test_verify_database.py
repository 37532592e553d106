"""Tests that the oracle and ingestion agree, and that the verification finds every manipulated row."""

import json
import random
from typing import Any

import pytest

from conversations.demo import demo_clock
from conversations.demo.events import Event
from conversations.ingest.conf import Options
from conversations.ingest.worker.batch import apply_due
from conversations.models import Conversation, Instance, Message
from tests.conversations.ingest.inboxes import store_all
from tests.load.plan import Plan
from tests.load.report import Report
from tests.load.scenario import SERVER, Scenario, build_scenario
from tests.load.schedule import schedule
from tests.load.verify_database import verify_database, verify_inbox

# With this seed the events contain every kind of value that the load test verifies.
PLAN = Plan(rate=60, seconds=8, instances=2, copies=5, seed=15)
OPTIONS = Options(window=0, interval=0, batch=40)
pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return build_scenario(PLAN)


@pytest.fixture
def delivered(scenario: Scenario) -> dict[bytes, Event]:
    """Return the webhook events by their body, which leaves only one of several byte-identical events."""
    return {post.event.delivery.body: post.event for post in schedule(PLAN, scenario)}


@pytest.fixture
def instances(scenario: Scenario, delivered: dict[bytes, Event]) -> list[Instance]:
    """Create two instances, and apply each of their events once, in random order."""
    created = {
        channel.name: Instance.objects.create(name=channel.name, server_url=SERVER) for channel in scenario.channels
    }
    bodies = list(delivered.items())
    random.Random(7).shuffle(bodies)
    for body, event in bodies:
        store_all(created[event.instance.name], json.loads(body))
    for instance in created.values():
        while apply_due(instance.pk, OPTIONS, ignore_schedule=True):
            pass
    return list(created.values())


def test_the_oracle_and_ingestion_agree(
    scenario: Scenario, delivered: dict[bytes, Event], instances: list[Instance]
) -> None:
    report, expected = verify_database(scenario, instances, delivered.values())
    assert report.is_correct, dict(report.mismatches)
    assert report.messages == Message.objects.count() > 30
    assert len(expected) == report.conversations == Conversation.objects.count()
    messages = [message for conversation in expected.values() for message in conversation.messages]
    # The events contain every kind of value that the load test verifies.
    assert any(message.is_deleted for message in messages)
    assert any(message.reactions for message in messages)
    assert any(message.votes for message in messages)
    assert any(message.file for message in messages)
    assert any(conversation.unread for conversation in expected.values())
    assert len({message.status for message in messages}) > 2


def test_every_manipulated_value_is_found(
    scenario: Scenario, delivered: dict[bytes, Event], instances: list[Instance]
) -> None:
    rows = Message.objects.filter(is_deleted=False).exclude(kind="call").order_by("pk")

    def assert_found(check: str, **fields: Any) -> None:
        row = rows[0]
        before = {name: getattr(row, name) for name in fields}
        Message.objects.filter(pk=row.pk).update(**fields)
        assert count_mismatches(check) == 1
        Message.objects.filter(pk=row.pk).update(**before)

    def count_mismatches(check: str) -> int:
        report, _ = verify_database(scenario, instances, delivered.values())
        assert set(report.mismatches) <= {check, "wrong last message"}, dict(report.mismatches)
        return len(report.mismatches[check])

    assert_found("wrong text", text="something else")
    assert_found("wrong status", status=0 if rows[0].status else 1)
    assert_found("wrong deletion", is_deleted=True)
    assert_found("wrong timestamp", timestamp=demo_clock.utc(0))
    assert_found("wrong reactions", reactions={"x": {"emoji": "🙃", "who": "me", "at": 1}})
    assert_found("wrong media", media={"file": "1/ab/abcd"})
    conversation = Conversation.objects.earliest("pk")
    Conversation.objects.filter(pk=conversation.pk).update(unread_count=conversation.unread_count + 1)
    assert count_mismatches("wrong unread") == 1
    Conversation.objects.filter(pk=conversation.pk).update(unread_count=conversation.unread_count)
    Conversation.objects.filter(pk=conversation.pk).update(last_message_text="something else")
    assert count_mismatches("wrong last message") == 1
    Conversation.objects.filter(pk=conversation.pk).update(last_message_text=conversation.last_message_text)
    Instance.objects.filter(pk=instances[0].pk).update(state="refused")
    assert count_mismatches("wrong state") == 1


def test_a_missing_message_and_an_unexpected_one_are_found(
    scenario: Scenario, delivered: dict[bytes, Event], instances: list[Instance]
) -> None:
    message = Message.objects.exclude(conversation__last_message=None).latest("pk")
    Message.objects.create(
        instance=message.instance,
        conversation=message.conversation,
        key_id="never posted",
        from_me=False,
        timestamp=message.timestamp,
        kind="text",
    )
    message.delete()
    report, _ = verify_database(scenario, instances, delivered.values())
    assert (len(report.mismatches["lost"]), len(report.mismatches["duplicated"])) == (1, 1)


def test_a_missing_event_and_a_failed_one_are_found(delivered: dict[bytes, Event], instances: list[Instance]) -> None:
    instance = instances[0]
    accepted = [event for event in delivered.values() if event.instance.name == instance.name]
    events = instance.events.filter(name="messages.upsert")
    events.filter(pk=events.earliest("pk").pk).delete()
    events.filter(pk=events.latest("pk").pk).update(outcome="failed")
    report = Report()
    verify_inbox(instance, accepted, report)
    assert (len(report.mismatches["lost"]), len(report.mismatches["not applied"])) == (1, 1)
