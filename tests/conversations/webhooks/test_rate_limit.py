"""Webhook requests over the rate limit get an HTTP status for which Evolution retries; chat messages have no limit."""

import itertools
from typing import Any

import pytest
from pytest_django import Settings

from conversations.ingest import metrics
from conversations.ingest.event_policy import LATEST_STATE, RATE_LIMITED
from conversations.ingest.inbox.overload import queue_depth
from conversations.models import Instance, WebhookEvent
from logs import token_buckets
from tests.conversations.webhooks.conftest import SERVER, Post, event
from tests.waiting import StoppedClock

pytestmark = pytest.mark.usefixtures("reset_counts")

numbers = itertools.count()


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> StoppedClock:
    """Replace the token buckets' time by a fixed one, so that tests do not depend on the machine's speed."""
    stopped = StoppedClock()
    monkeypatch.setattr(token_buckets, "monotonic", stopped)
    return stopped


def new_event(name: str = "connection.update") -> dict[str, Any]:
    """Return a webhook body that differs from those of all earlier calls."""
    number = next(numbers)
    date_time = f"2026-01-01T00:00:00.{number % 1000:03}Z"
    return {"event": name, "instance": "sales", "data": {}, "date_time": date_time, "number": number}


def history(number: int, *, instance: str = "sales", count: int = 1) -> dict[str, Any]:
    return {"event": "messages.set", "instance": instance, "progress": number, "data": [0] * count}


def statuses(post: Post, *bodies: dict[str, Any], **extra: Any) -> list[int]:
    """Post the bodies, measure the queue depth after each of them, and return the statuses of the answers."""
    found = []
    for body in bodies:
        found.append(post(body=body, **extra).status_code)
        queue_depth.refresh()
    return found


@pytest.mark.usefixtures("sales")
def test_an_instance_may_use_half_of_the_queue(post: Post, settings: Settings) -> None:
    settings.INGEST = {"QUEUE_LIMIT": 4}
    assert statuses(post, *(event(key_id=f"A{number}") for number in range(3))) == [202, 202, 202]
    rejected = post(body=event(key_id="A3"))
    assert (rejected.status_code, rejected.json()["error"]) == (503, "overloaded")
    assert int(rejected["Retry-After"]) > 0
    metrics.flush()
    assert metrics.totals() == {"received": 3, "overloaded": 1}
    WebhookEvent.objects.update(outcome="applied")
    queue_depth.refresh()
    assert post(body=event(key_id="A4")).status_code == 202


def test_no_instance_stops_the_events_of_another(post: Post, settings: Settings, sales: Instance) -> None:
    settings.INGEST = {"QUEUE_LIMIT": 8}
    support, _ = Instance.objects.upsert("support", SERVER)
    others = {"path": "/webhooks/evolution/support", "token": Instance.objects.issue_token(support.pk)}
    assert statuses(post, *(event(key_id=f"A{number}") for number in range(6))) == [202] * 5 + [503]
    assert statuses(post, *(event(key_id=f"B{number}", instance="support") for number in range(3)), **others) == [
        202,
        202,
        503,
    ]
    metrics.flush()
    assert metrics.for_instance(sales.pk)["overloaded"] == metrics.for_instance(support.pk)["overloaded"] == 1


@pytest.mark.usefixtures("sales")
def test_a_waiting_import_stops_only_further_imports(post: Post, settings: Settings) -> None:
    settings.INGEST = {"QUEUE_LIMIT": 4, "CHUNK": 1}
    assert statuses(post, history(1, count=100), history(2), event()) == [202, 503, 202]
    WebhookEvent.objects.filter(is_history=True).update(outcome="applied")
    queue_depth.refresh()
    assert statuses(post, history(2)) == [202]


@pytest.mark.usefixtures("sales")
def test_waiting_events_do_not_stop_an_import_that_still_has_room(post: Post, settings: Settings) -> None:
    settings.INGEST = {"QUEUE_LIMIT": 4}
    assert statuses(post, event(key_id="A1"), event(key_id="A2"), history(1), history(2)) == [202] * 4


def test_a_global_webhook_stops_only_the_instance_with_too_many_events(
    post: Post, settings: Settings, sales: Instance
) -> None:
    Instance.objects.upsert("sales", SERVER, is_global_webhook=True)
    settings.INGEST = {"QUEUE_LIMIT": 8}
    assert statuses(post, *(event(key_id=f"A{number}") for number in range(6))) == [202] * 5 + [503]
    assert statuses(post, event(instance="support")) == [202]
    metrics.flush()
    assert metrics.for_instance(sales.pk)["overloaded"] == 1


@pytest.mark.usefixtures("sales")
def test_repeated_states_are_rate_limited_and_messages_are_not(post: Post, settings: Settings) -> None:
    settings.INGEST = {"RATE_LIMIT": 1.0}
    assert [post(body=new_event()).status_code for _ in range(5)] == [202] * 3 + [429] * 2
    assert {post(body=event(key_id=f"A{number}")).status_code for number in range(20)} == {202}
    rejected = post(body=new_event())
    assert (rejected.status_code, rejected.json()["error"]) == (429, "flooding")
    assert int(rejected["Retry-After"]) > 0
    metrics.flush()
    assert metrics.totals() == {"received": 23, "delayed": 3}
    assert WebhookEvent.objects.count() == 23


@pytest.mark.usefixtures("sales")
@pytest.mark.parametrize("name", ["messages.update", "messages.edited", "messages.delete", "send.message", "call"])
def test_an_event_that_is_not_repeated_is_never_rate_limited(post: Post, settings: Settings, name: str) -> None:
    settings.INGEST = {"RATE_LIMIT": 1.0}
    assert {post(body=new_event(name)).status_code for _ in range(8)} == {202}


def test_only_latest_state_events_are_rate_limited() -> None:
    assert RATE_LIMITED <= LATEST_STATE


@pytest.mark.django_db
def test_each_instance_has_its_own_rate_limit(post: Post, settings: Settings) -> None:
    settings.INGEST = {"RATE_LIMIT": 1.0}
    tokens = {}
    for name in ("sales", "support"):
        instance, _ = Instance.objects.upsert(name, SERVER)
        tokens[name] = Instance.objects.issue_token(instance.pk)

    def post_state(name: str) -> int:
        body = new_event() | {"instance": name}
        status: int = post(f"/webhooks/evolution/{name}", body, token=tokens[name]).status_code
        return status

    assert [post_state("sales") for _ in range(4)] == [202, 202, 202, 429]
    assert post_state("support") == 202
