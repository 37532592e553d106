"""A webhook costs one insert; what is too much is asked to come again, and no message is ever too much."""

import itertools
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import DatabaseError, InternalError, connection
from pytest_django import Settings
from pytest_django.fixtures import DjangoAssertNumQueries

from cachelayer.runtime import runtime
from conversations.ingest import metrics, notify
from conversations.ingest.event_policy import LATEST_STATE, RATE_LIMITED
from conversations.ingest.inbox import overload as looking
from conversations.ingest.inbox.overload import queue_depth
from conversations.models import Instance, WebhookEvent
from conversations.webhooks import rate_limit
from tests.cachelayer.conftest import cached, quick  # noqa: F401 - fixtures
from tests.conversations.webhooks.conftest import Post, event

numbers = itertools.count()


def a_state(name: str = "connection.update", **data: Any) -> dict[str, Any]:
    """A body of its own at each call, as Evolution's clock makes it."""
    n = next(numbers)
    return {
        "event": name,
        "instance": "sales",
        "data": data,
        "date_time": f"2026-01-01T00:00:00.{n % 1000:03}Z",
        "n": n,
    }


@pytest.fixture(autouse=True)
def forgetful(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is known from another test."""
    monkeypatch.setattr(rate_limit, "_buckets", rate_limit.TokenBuckets())
    queue_depth.reset()
    metrics.reset_after_fork()
    yield
    queue_depth.reset()
    metrics.reset_after_fork()


# --- what it costs ----------------------------------------------------------------------------------------------------
@pytest.fixture
def attended(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leave to the door's thread what is its to do, and let it do nothing."""
    monkeypatch.setattr(looking, "REFRESH_SECONDS", float("inf"))
    notify.delegate_to(threading.Event())
    yield
    notify.delegate_to(None)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("cached", "attended")
@pytest.mark.parametrize(
    "body", [event(), a_state(), {"event": "messages.set", "instance": "sales", "data": [{}] * 1000}, {}, []]
)
def test_a_webhook_costs_one_insert_and_nothing_else(
    sales: Instance, post: Post, body: Any, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    assert post(body=event(key_id="warm")).status_code == 202
    other, _ = Instance.objects.upsert("support", "https://evo.example.com")
    Instance.objects.filter(pk=other.pk).get().save()  # another number's write leaves this one's token cached
    with django_assert_num_queries(1) as queries:
        assert post(body=body).status_code == 202
    assert queries[0]["sql"].strip().startswith("INSERT INTO conversations_webhookevent")
    is_import = bool(body) and body["event"] == "messages.set"  # several rows, which it would be wrong to lock
    with django_assert_num_queries(2 if is_import else 1):
        assert post(body=body).status_code == 202, "the same again is found by the insert itself"
    assert runtime.current().breaker.is_closed
    assert sales.events.exists()


@pytest.mark.usefixtures("sales")
def test_what_comes_is_counted(post: Post) -> None:
    for _ in range(3):
        post()
    metrics.flush()
    metrics.flush()
    assert metrics.totals() == {"received": 3}


# --- too much -------------------------------------------------------------------------------------------------------
@pytest.mark.usefixtures("sales")
def test_over_the_backlog_everything_is_to_be_sent_again(post: Post, settings: Settings) -> None:
    settings.INGEST = {"BACKLOG": 2}
    answers = []
    for n in range(4):
        answers.append(post(body=event(key_id=f"A{n}")))
        queue_depth.refresh()
    assert [answer.status_code for answer in answers] == [202, 202, 202, 503]
    assert answers[-1].json()["error"] == "overloaded"
    assert int(answers[-1]["Retry-After"]) > 0
    metrics.flush()
    assert metrics.totals() == {"received": 3, "overloaded": 1}
    WebhookEvent.objects.update(outcome="applied")
    queue_depth.refresh()
    assert post(body=event(key_id="A4")).status_code == 202


@pytest.mark.usefixtures("sales")
def test_a_flood_of_states_is_to_be_sent_again_and_messages_never_are(post: Post, settings: Settings) -> None:
    settings.INGEST = {"FLOOD": 1.0}
    statuses = [post(body=a_state()).status_code for _ in range(8)]
    assert statuses[:3] == [202] * 3
    assert 429 in statuses
    assert {post(body=event(key_id=f"A{n}")).status_code for n in range(20)} == {202}
    refused = post(body=a_state())
    assert (refused.status_code, refused.json()["error"]) == (429, "flooding")
    assert int(refused["Retry-After"]) > 0
    metrics.flush()
    told = metrics.totals()
    assert told["received"] + told["delayed"] == 29
    assert told["received"] == WebhookEvent.objects.count()


@pytest.mark.usefixtures("sales")
@pytest.mark.parametrize("name", ["messages.update", "messages.edited", "messages.delete", "send.message", "call"])
def test_what_is_said_once_is_taken_in_any_flood(post: Post, settings: Settings, name: str) -> None:
    settings.INGEST = {"FLOOD": 1.0}
    assert {post(body=a_state(name)).status_code for _ in range(8)} == {202}


def test_what_may_be_held_off_is_a_state() -> None:
    assert RATE_LIMITED <= LATEST_STATE


@pytest.mark.django_db
def test_one_instances_flood_is_not_anothers(post: Post, settings: Settings) -> None:
    settings.INGEST = {"FLOOD": 1.0}
    tokens = {}
    for name in ("sales", "support"):
        instance, _ = Instance.objects.upsert(name, "https://evo.example.com")
        tokens[name] = Instance.objects.issue_token(instance.pk)

    def posted(name: str) -> int:
        body = a_state() | {"instance": name}
        status: int = post(f"/webhooks/evolution/{name}", body, token=tokens[name]).status_code
        return status

    assert 429 in [posted("sales") for _ in range(6)]
    assert posted("support") == 202


# --- no database ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("error", [DatabaseError, InternalError])  # a replica says the latter
@pytest.mark.usefixtures("sales")
def test_whatever_the_database_says_the_event_is_to_be_sent_again(error: type[Exception], post: Post) -> None:
    def fail(execute: Callable[..., Any], sql: str, *args: Any) -> Any:
        if "INSERT INTO" in sql:
            raise error("cannot execute INSERT in a read-only transaction")
        return execute(sql, *args)

    with connection.execute_wrapper(fail):
        answer = post()
    assert (answer.status_code, answer.json()["error"]) == (503, "database_unavailable")
    assert int(answer["Retry-After"]) > 0
    metrics.flush()
    assert metrics.totals() == {}
