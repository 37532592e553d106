"""A webhook body is stored before it is applied, is applied once, and gets an outcome if applying fails."""

import base64
import logging
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.db import InterfaceError, connection
from django.test.utils import CaptureQueriesContext

from conversations.evolution import events
from conversations.ingest.worker import batch
from conversations.models import Contact, Conversation, Instance, Message, WebhookEvent
from tests.conversations.ingest.bodies import text
from tests.conversations.ingest.receive import receive
from tests.payloads import sample

pytestmark = pytest.mark.django_db


@pytest.fixture
def instance() -> Instance:
    return Instance.objects.create(name="vendas-sp-01")


def test_a_repeated_body_is_the_same_event(instance: Instance) -> None:
    body = sample("messages.upsert.json")
    first, second = receive(instance, body), receive(instance, body)
    assert (first.pk, first.outcome, second.outcome) == (second.pk, "applied", "applied")
    assert Message.objects.count() == 1


def test_a_message_that_renames_its_sender_updates_the_conversation_with_one_statement(instance: Instance) -> None:
    receive(instance, text("M1", pushName="Ana"))
    with CaptureQueriesContext(connection) as queries:
        receive(instance, text("M2", at=60, pushName="Ana Souza") | {"date_time": "2026-01-01T00:00:00.000Z"})
    conversation = Conversation.objects.get()
    assert (conversation.name, conversation.last_message_text) == ("Ana Souza", "oi")
    assert sum('UPDATE "conversations_conversation"' in query["sql"] for query in queries) == 1


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        ({"event": "unknown.event", "instance": "vendas-sp-01", "data": {}}, "unknown"),
        ({"event": "messages.upsert", "data": {"no": "key"}}, "unknown"),
        ({"event": "messages.upsert", "data": None}, "unknown"),
        ({"data": {}}, "unknown"),
        ([], "unknown"),
        ("text", "unknown"),
        (None, "unknown"),
        (5, "unknown"),
        ({"event": "chats.upsert", "data": []}, "ignored"),
        ({"event": "typebot.start", "data": {}}, "ignored"),
    ],
)
def test_malformed_bodies_are_stored_with_an_outcome_and_a_reason(instance: Instance, body: Any, outcome: str) -> None:
    event = receive(instance, body)
    stored = WebhookEvent.objects.get(pk=event.pk)
    assert (stored.outcome, stored.payload) == (outcome, body)
    assert stored.reason, "what is ignored says why"


def test_an_event_of_another_instance_changes_nothing(instance: Instance, caplog: pytest.LogCaptureFixture) -> None:
    body = sample("messages.upsert.json") | {"instance": "support"}
    with caplog.at_level(logging.WARNING):
        event = receive(instance, body)
    assert event.outcome == "foreign"
    assert not Message.objects.exists()
    assert "another instance" in caplog.text
    assert "Niterói" not in caplog.text


def test_the_known_items_of_a_partly_unknown_body_are_applied(instance: Instance) -> None:
    body = sample("messages.set.json")
    body["data"].append({"key": {}})
    event = receive(instance, body)
    assert (event.outcome, event.reason) == (
        "unknown",
        "1 item not understood: the message key has no id of a usable length",
    )
    assert Message.objects.count() == 3


def test_an_event_that_a_defect_fails_is_kept_and_applied_after_the_fix(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    body = sample("messages.upsert.json")

    def fail(*_: object) -> None:
        raise KeyError("Bom dia! Vocês entregam em Niterói?")

    with monkeypatch.context() as patch, caplog.at_level(logging.DEBUG):
        patch.setattr(events, "parse", fail)
        event = receive(instance, body)
    assert (event.outcome, event.reason, event.attempts) == ("stored", "KeyError", 1)
    assert "Niterói" not in caplog.text
    assert receive(instance, body).outcome == "applied"
    assert Message.objects.count() == 1


def test_an_unavailable_database_does_not_count_as_an_attempt(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail_connection(*_: object) -> None:
        raise InterfaceError("unavailable")

    body = sample("messages.upsert.json")
    with monkeypatch.context() as patch:
        patch.setattr(batch, "apply", fail_connection)
        with pytest.raises(InterfaceError):
            receive(instance, body)
    assert WebhookEvent.objects.get().attempts == 0
    assert receive(instance, body).outcome == "applied"


def test_characters_that_a_database_rejects_are_removed_or_replaced(instance: Instance) -> None:
    body = sample("messages.upsert.json")
    body["data"]["message"]["conversation"] = "a\x00b\ud83d"
    body["data"]["pushName"] = "N" * 5000
    assert receive(instance, body).outcome == "applied"
    assert Message.objects.get().text == "ab\ufffd"
    assert len(Contact.objects.get().name) == 255


def test_extreme_values_never_raise_an_error(instance: Instance) -> None:
    body = sample("messages.upsert.image.json")
    image = body["data"]["message"]["imageMessage"]
    image["fileLength"] = {"low": 1, "high": 2**40, "unsigned": True}
    image["height"], image["mimetype"] = "tall", {"no": "text"}
    body["data"]["messageTimestamp"] = 10**30
    body["data"]["source"] = "a client with a very long name"
    assert receive(instance, body).outcome == "applied"
    ack = sample("messages.update.json")
    ack["data"]["status"] = {"no": "status"}
    assert receive(instance, ack).outcome == "ignored"
    code = sample("connection.update.close.json")
    code["data"]["statusReason"] = 2**80
    assert receive(instance, code).outcome in ("applied", "unknown")


def test_base64_media_is_stored_as_a_file(instance: Instance) -> None:
    content = b"\x89PNG" + bytes(range(256)) * 40
    body = sample("messages.upsert.image.json")
    body["data"]["message"]["base64"] = base64.b64encode(content).decode()
    event = receive(instance, body)
    row = Message.objects.get()
    with default_storage.open(row.media["file"]) as file:
        assert file.read() == content
    assert event.payload["data"]["message"]["base64"] == {"file": row.media["file"]}
    assert row.media["mimetype"] == "image/jpeg"


def test_a_copy_with_a_file_wins_over_one_without(instance: Instance) -> None:
    with_file, without = sample("messages.upsert.image.json"), sample("messages.upsert.image.json")
    with_file["data"]["message"]["base64"] = base64.b64encode(b"content").decode()
    without["date_time"] = "2025-12-11T10:00:07.000Z"
    receive(instance, without)
    receive(instance, with_file)
    assert Message.objects.get().media["file"]


def test_media_that_is_not_base64_is_left_out(instance: Instance) -> None:
    body = sample("messages.upsert.image.json")
    body["data"]["message"]["base64"] = "not base64!"
    assert receive(instance, body).outcome == "applied"
    assert "file" not in Message.objects.get().media


def test_messages_of_two_instances_with_the_same_key_ids_stay_apart(instance: Instance) -> None:
    other = Instance.objects.create(name="vendas-sp-01", server_url="https://second.example.com")
    body = sample("messages.upsert.json")
    receive(instance, body)
    receive(other, body)
    assert sorted(Conversation.objects.values_list("instance", "unread_count")) == [(instance.pk, 1), (other.pk, 1)]
    receive(other, sample("messages.delete.json") | {"data": {**body["data"]["key"], "status": "DELETED"}})
    assert Message.objects.get(instance=instance).is_deleted is False
    assert Message.objects.get(instance=other).is_deleted is True
