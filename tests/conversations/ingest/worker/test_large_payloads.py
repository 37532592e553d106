"""A large payload, which is decoded in steps, gives the same rows as a small one."""

import pytest

from conversations.evolution.large_json import decoder, window
from conversations.evolution.large_json.values import LargeDict, LargeList
from conversations.ingest.worker import batch, large_payloads
from conversations.models import Instance, Message, WebhookEvent
from tests.conversations.ingest.bodies import envelope, text
from tests.conversations.ingest.inboxes import NO_DELAY, store_all

pytestmark = pytest.mark.django_db
TEXTS = {f"M{number}": "é😀" * number for number in range(1, 4)}


def test_the_records_of_a_large_event_are_applied(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window, "STEP", 10)
    monkeypatch.setattr(decoder, "WINDOW", 100)
    body = envelope("messages.upsert", [text(key_id, body=TEXTS[key_id])["data"] for key_id in TEXTS])
    store_all(instance, text("M0", body="small"), body, text("M4", body="small"))
    sizes = dict(WebhookEvent.objects.values_list("pk", "size"))
    monkeypatch.setattr(large_payloads, "LARGE", max(sizes.values()) - 1)
    loaded = large_payloads.load_events(sizes, ("instance", "name"))
    assert [event.pk for event in loaded] == sorted(sizes)
    assert [isinstance(event.payload, LargeDict) for event in loaded] == [False, True, False]
    assert isinstance(loaded[1].payload["data"], LargeList)
    assert batch.apply_due(instance.pk, NO_DELAY) == 3
    assert dict(Message.objects.values_list("key_id", "text")) == TEXTS | {"M0": "small", "M4": "small"}


def test_a_payload_with_too_many_large_levels_is_decoded_at_once(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(large_payloads, "LARGE", 0)
    monkeypatch.setattr(window, "STEP", 10)
    monkeypatch.setattr(decoder, "WINDOW", 1)
    monkeypatch.setattr(decoder, "MAX_LEVELS", 2)
    store_all(instance, text("M1"))
    assert batch.apply_due(instance.pk, NO_DELAY) == 1
    assert Message.objects.get().key_id == "M1"


def test_a_large_state_that_says_nothing_is_applied(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    """Repeated states are compared by their whole content."""
    monkeypatch.setattr(large_payloads, "LARGE", 0)
    monkeypatch.setattr(window, "STEP", 10)
    monkeypatch.setattr(decoder, "WINDOW", 1)
    store_all(instance, envelope("contacts.update", [{}, {}]))
    assert batch.apply_due(instance.pk, NO_DELAY, ignore_schedule=True) == 1
    assert not WebhookEvent.objects.filter(outcome="stored").exists()
