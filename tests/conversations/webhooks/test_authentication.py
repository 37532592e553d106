"""A request is authenticated by the webhook token of the instance that its URL names."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.db.models import QuerySet
from django.test import RequestFactory
from django.utils import timezone

from cachelayer.runtime.runtime import get_runtime
from conversations.ingest import metrics
from conversations.models import Instance
from conversations.models.instance import hash_token
from conversations.webhooks.authentication import HOW_TO_SEND, authenticate, event_in_query, request_tokens
from conversations.webhooks.errors import ErrorCode, WebhookError
from conversations.webhooks.instances import BURST_SECONDS, CHECKS_PER_SECOND
from logs import token_buckets
from logs.redaction import Redactor
from tests.cachelayer.conftest import cache_runtime  # noqa: F401 - pytest finds the imported fixture by name
from tests.conversations.webhooks.conftest import SERVER, TOKEN
from tests.waiting import StoppedClock


def request(path: str = "/", **headers: str) -> Any:
    return RequestFactory().post(path, headers=headers)


def error_code(name: str, token: str) -> ErrorCode:
    with pytest.raises(WebhookError) as caught:
        authenticate(request(authorization=f"Bearer {token}"), name)
    return caught.value.code


@pytest.mark.parametrize(
    ("path", "headers", "tokens"),
    [
        ("/", {}, []),
        ("/", {"authorization": "Bearer abc"}, ["abc"]),
        ("/", {"authorization": "bearer   abc "}, ["abc"]),
        ("/", {"x-webhook-token": " abc "}, ["abc"]),
        ("/?token=abc", {}, ["abc"]),
        ("/?token=abc/messages-upsert", {}, ["abc"]),
        ("/?token=abc//messages-upsert/", {}, ["abc"]),
        ("/?other=1&token=abc", {}, ["abc"]),
        ("/?" + 1500 * "a=1&" + "token=abc", {}, ["abc"]),
        ("/?" + 1500 * "a&" + "token=%41&token=%ff%ed%a0%80", {}, ["A", "\ufffd\ufffd\ufffd\ufffd"]),
        ("/?token=c", {"authorization": "Bearer a", "x-webhook-token": "b"}, ["a", "b", "c"]),
        ("/?token=a&token=b/call", {"authorization": "Bearer a"}, ["a", "b"]),
        ("/", {"authorization": "Bearer a, Bearer b", "x-webhook-token": "c,d"}, ["a", "b", "c", "d"]),
        ("/?token=c", {"authorization": "Basic dXNlcjpwYXNz"}, ["c"]),
        ("/?token=c", {"authorization": "Bearer", "x-webhook-token": ""}, ["c"]),
        ("/", {"x-webhook-token": "b", "authorization": "a"}, ["b"]),
    ],
)
def test_every_token_of_a_request_is_found(path: str, headers: dict[str, str], tokens: list[str]) -> None:
    assert request_tokens(request(path, **headers)) == tokens


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        (f"/?token={TOKEN}", {"authorization": "Bearer of-a-proxy", "x-webhook-token": "old"}),
        ("/?token=old", {"authorization": "Bearer of-a-proxy", "x-webhook-token": TOKEN}),
        ("/?token=old", {"authorization": f"Bearer {TOKEN}", "x-webhook-token": "old"}),
        (f"/?token=old&token={TOKEN}", {}),
    ],
)
def test_a_foreign_token_does_not_hide_the_right_one(path: str, headers: dict[str, str], sales: Instance) -> None:
    assert authenticate(request(path, **headers), "sales") == sales


@pytest.mark.parametrize(
    ("path", "event"),
    [
        ("/", ""),
        ("/?token=abc", ""),
        ("/?token=abc/", ""),
        ("/?token=abc/messages-upsert", "messages-upsert"),
        ("/?token=abc//messages-upsert/", "messages-upsert"),
    ],
)
def test_the_event_after_the_token_is_found(path: str, event: str) -> None:
    assert event_in_query(request(path)) == event


def test_the_token_selects_among_instances_of_the_same_name(sales: Instance) -> None:
    other, _ = Instance.objects.upsert("sales", "https://other.example.com")
    token = Instance.objects.issue_token(other.pk)
    assert authenticate(request(authorization=f"Bearer {TOKEN}"), "sales") == sales
    assert authenticate(request(authorization=f"Bearer {token}"), "sales") == other


@pytest.mark.parametrize(
    "token", ["", "wrong", TOKEN[:-1], TOKEN + "x", "tóken", "\xff\xfe", "€".encode().decode("latin-1")]
)
@pytest.mark.usefixtures("sales")
def test_any_other_token_is_rejected(token: str) -> None:
    assert error_code("sales", token) is ErrorCode.UNAUTHORIZED


@pytest.mark.usefixtures("sales")
def test_a_token_in_the_url_may_be_non_ascii() -> None:
    with pytest.raises(WebhookError) as caught:
        authenticate(request("/?token=%ff%E2%82%AC%00"), "sales")
    assert caught.value.code is ErrorCode.UNAUTHORIZED


@pytest.mark.parametrize("name", ["Sales", "sales ", "unknown", "\x00", "a\x00b", ".", " ", "n" * 5000])
@pytest.mark.usefixtures("sales")
def test_a_name_of_no_instance_is_unknown(name: str) -> None:
    assert error_code(name, TOKEN) is ErrorCode.UNKNOWN_INSTANCE


def test_the_token_of_another_instance_is_rejected(sales: Instance) -> None:
    other, _ = Instance.objects.upsert("support", SERVER)
    token = Instance.objects.issue_token(other.pk)
    assert error_code(sales.name, token) is ErrorCode.UNAUTHORIZED


@pytest.mark.django_db
def test_an_instance_without_a_token_accepts_no_token() -> None:
    Instance.objects.upsert("new")
    for token in ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"):
        assert error_code("new", token) is ErrorCode.UNAUTHORIZED


def test_the_stored_hash_is_not_accepted_as_a_token(sales: Instance) -> None:
    sales.refresh_from_db()
    assert error_code("sales", sales.token_hash) is ErrorCode.UNAUTHORIZED


def test_the_previous_token_is_valid_until_it_expires(sales: Instance) -> None:
    new = Instance.objects.issue_token(sales.pk)
    for token in (TOKEN, new):
        assert authenticate(request(authorization=f"Bearer {token}"), "sales") == sales
    Instance.objects.filter(pk=sales.pk).update(previous_token_until=timezone.now() - dt.timedelta(seconds=1))
    assert error_code("sales", TOKEN) is ErrorCode.UNAUTHORIZED
    assert authenticate(request(authorization=f"Bearer {new}"), "sales") == sales


def test_a_revoked_token_is_rejected_immediately(sales: Instance) -> None:
    Instance.objects.issue_token(sales.pk, revoke_old=True)
    assert error_code("sales", TOKEN) is ErrorCode.UNAUTHORIZED


# --- refusals ---------------------------------------------------------------------------------------------------------
@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> StoppedClock:
    """Stop the time of the token buckets, so that no query is allowed again while a test runs."""
    stopped = StoppedClock()
    monkeypatch.setattr(token_buckets, "monotonic", stopped)
    return stopped


def count_queries(call: Callable[[], object]) -> int:
    queries = []

    def count(execute: Callable[..., Any], sql: str, *args: Any) -> Any:
        queries.append(sql)
        return execute(sql, *args)

    with connection.execute_wrapper(count):
        call()
    return len(queries)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("cache_runtime")
def test_a_new_token_is_accepted_before_the_cache_knows_it(sales: Instance) -> None:
    assert authenticate(request(authorization=f"Bearer {TOKEN}"), "sales") == sales
    # As another process does whose invalidation has not arrived here yet.
    with connection.cursor() as cursor:
        cursor.execute("UPDATE conversations_instance SET token_hash = %s", [hash_token("a new token")])
    assert authenticate(request(x_webhook_token="a new token"), "sales") == sales


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("cache_runtime")
def test_a_new_instance_is_accepted_before_the_cache_knows_it() -> None:
    assert error_code("support", TOKEN) is ErrorCode.UNKNOWN_INSTANCE
    assert error_code("support", TOKEN) is ErrorCode.UNKNOWN_INSTANCE
    (new,) = QuerySet[Instance](Instance).bulk_create([Instance(name="support", token_hash=hash_token("of-support"))])
    assert authenticate(request(authorization="Bearer of-support"), "support") == new


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("sales")
def test_a_name_without_an_instance_leaves_nothing_in_the_cache(cache_runtime: Any) -> None:  # noqa: F811 - the argument is the fixture
    assert error_code("sales", "wrong") is ErrorCode.UNAUTHORIZED
    before = set(cache_runtime.store.entry_names("*"))
    for number in range(50):
        with pytest.raises(WebhookError):
            authenticate(request(authorization=f"Bearer {TOKEN}"), f"unknown-{number}")
    assert set(cache_runtime.store.entry_names("*")) == before
    assert get_runtime().local.namespace(cache_runtime.namespaces.for_tag("instances:all")).fills <= 1


@pytest.mark.usefixtures("sales", "clock")
@pytest.mark.parametrize(
    ("name", "refusal"),
    [("unknown-{}", ErrorCode.UNKNOWN_INSTANCE), ("sales", ErrorCode.UNAUTHORIZED)],
)
def test_a_flood_of_refusals_costs_few_queries_and_is_then_sent_again(name: str, refusal: ErrorCode) -> None:
    checks = CHECKS_PER_SECOND * BURST_SECONDS
    codes = [error_code(name.format(number), f"wrong-{number}") for number in range(200)]
    checked = codes.index(ErrorCode.UNVERIFIED)
    assert codes == [refusal] * checked + [ErrorCode.UNVERIFIED] * (200 - checked)
    assert checks - 1 <= checked <= checks
    assert WebhookError(ErrorCode.UNVERIFIED, "").status == 429, "Evolution tries it again"
    assert count_queries(lambda: error_code("unknown", "wrong")) <= 1


@pytest.mark.usefixtures("clock")
def test_a_flood_of_refusals_does_not_hide_a_right_token(sales: Instance) -> None:
    for number in range(300):
        error_code("sales", f"wrong-{number}")
        error_code(f"unknown-{number}", "wrong")
    assert authenticate(request(authorization=f"Bearer {TOKEN}"), "sales") == sales


@pytest.mark.usefixtures("reset_counts")
def test_wrong_tokens_are_counted_for_their_instance(sales: Instance) -> None:
    for token in ("wrong", "wröng", ""):
        error_code("sales", token)
    error_code("unknown", "wrong")
    metrics.flush()
    assert metrics.for_instance(sales.pk) == {"refused": 3}


@pytest.mark.parametrize("name", ["sales", "unknown", "n" * 4000])
@pytest.mark.parametrize("token", ["", "wrong"])
@pytest.mark.usefixtures("sales")
def test_an_error_text_is_short_and_survives_the_redaction_of_logs(name: str, token: str) -> None:
    with pytest.raises(WebhookError) as caught:
        authenticate(request(authorization=f"Bearer {token}"), name)
    detail = caught.value.detail
    assert Redactor("key").text(detail) == detail
    assert len(detail) < 300


def test_the_error_text_for_a_missing_token_names_every_place_for_it() -> None:
    for place in ("Authorization", "Bearer", "X-Webhook-Token", "token"):
        assert place in HOW_TO_SEND
