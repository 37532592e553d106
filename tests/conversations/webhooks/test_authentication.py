"""A request is authenticated by the webhook token of the instance that its URL names."""

import datetime as dt
from typing import Any

import pytest
from django.test import RequestFactory
from django.utils import timezone

from conversations.models import Instance
from conversations.webhooks.authentication import authenticate, event_in_query, request_token
from conversations.webhooks.errors import ErrorCode, WebhookError
from tests.conversations.webhooks.conftest import SERVER, TOKEN


def request(path: str = "/", **headers: str) -> Any:
    return RequestFactory().post(path, headers=headers)


def error_code(name: str, token: str) -> ErrorCode:
    with pytest.raises(WebhookError) as caught:
        authenticate(request(authorization=f"Bearer {token}"), name)
    return caught.value.code


@pytest.mark.parametrize(
    ("path", "headers", "token"),
    [
        ("/", {}, ""),
        ("/", {"authorization": "Bearer abc"}, "abc"),
        ("/", {"authorization": "bearer   abc "}, "abc"),
        ("/", {"x-webhook-token": " abc "}, "abc"),
        ("/?token=abc", {}, "abc"),
        ("/?token=abc/messages-upsert", {}, "abc"),
        ("/?token=abc//messages-upsert/", {}, "abc"),
        ("/?other=1&token=abc", {}, "abc"),
        ("/?token=c", {"authorization": "Bearer a", "x-webhook-token": "b"}, "a"),
        ("/?token=c", {"x-webhook-token": "b"}, "b"),
        ("/?token=c", {"authorization": "Basic dXNlcjpwYXNz"}, "c"),
        ("/?token=c", {"authorization": "Bearer", "x-webhook-token": ""}, "c"),
        ("/", {"x-webhook-token": "b", "authorization": "a"}, "b"),
    ],
)
def test_the_token_comes_from_authorization_then_the_header_then_the_url(
    path: str, headers: dict[str, str], token: str
) -> None:
    assert request_token(request(path, **headers)) == token


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
