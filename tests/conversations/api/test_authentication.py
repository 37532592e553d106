from collections import Counter
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from rest_framework.exceptions import APIException, AuthenticationFailed, Throttled
from rest_framework.request import Request
from rest_framework.test import APIClient

from conversations.access import live_tokens as access_tokens
from conversations.api.authentication import TokenAuthentication
from conversations.models import ApiToken
from logs import token_buckets
from logs.testing import capture
from tests.conversations.rows import a_chat, an_instance
from tests.waiting import StoppedClock

pytestmark = pytest.mark.django_db

PATHS = ["instances/", "contacts/", "conversations/", "messages/", "conversations/1/", "conversations/1/messages/"]


@pytest.mark.parametrize("path", PATHS)
def test_a_read_without_a_token_is_refused(path: str) -> None:
    response = APIClient().get(f"/api/v1/{path}")
    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Token"
    assert response.json()["code"] == "not_authenticated"


def test_a_write_without_a_token_is_refused() -> None:
    chat = a_chat(an_instance())
    assert APIClient().post(f"/api/v1/conversations/{chat.pk}/archive/").status_code == 401
    chat.refresh_from_db()
    assert not chat.is_archived


def test_a_valid_token_is_accepted(api: APIClient) -> None:
    assert api.get("/api/v1/instances/").status_code == 200


@pytest.mark.parametrize(
    "header",
    ["Token", "Token wrong", "Token two words", "Token \xff\xfe", "Token a\0b", f"Token {'x' * 9000}", "Token olá"],
)
def test_a_malformed_or_unknown_token_is_refused(header: str) -> None:
    response = Client().get("/api/v1/instances/", HTTP_AUTHORIZATION=header)
    assert response.status_code == 401
    assert response.json()["code"] == "authentication_failed"


def test_an_altered_token_is_refused(token: str) -> None:
    for wrong in (f"{token}x", f"{token[:-1]}", token.upper()):
        assert APIClient(headers={"Authorization": f"Token {wrong}"}).get("/api/v1/instances/").status_code == 401


def test_a_flood_of_wrong_tokens_is_throttled_and_a_right_one_is_not(
    token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_buckets, "monotonic", StoppedClock())
    wrong = APIClient(headers={"Authorization": "Token wrong"})
    statuses = [wrong.get("/api/v1/instances/").status_code for _ in range(80)]
    assert statuses == [401] * 60 + [429] * 20
    assert int(wrong.get("/api/v1/instances/")["Retry-After"]) > 0
    assert APIClient(headers={"Authorization": f"Token {token}"}).get("/api/v1/instances/").status_code == 200
    assert APIClient().get("/api/v1/instances/").status_code == 401, "no token is no wrong token"
    elsewhere = wrong.get("/api/v1/instances/", REMOTE_ADDR="192.0.2.7")
    assert elsewhere.status_code == 401, "each address has its own limit"


@pytest.mark.parametrize(
    "limits", [{"token": 6000, "address": 3000}, {"token": 6000, "address": 5}, {"token": 0, "address": 0}]
)
def test_a_flood_of_guesses_causes_few_queries_and_locks_no_right_token_out(
    token: str, monkeypatch: pytest.MonkeyPatch, settings: Any, limits: dict[str, int]
) -> None:
    settings.API_RATE_LIMITS = limits
    clock = StoppedClock()
    for module in (token_buckets, access_tokens):
        monkeypatch.setattr(module, "monotonic", clock)
    with CaptureQueriesContext(connection) as queries:
        answers = [
            APIClient(headers={"Authorization": f"Token wai_{number:043}"}).get("/api/v1/instances/")
            for number in range(100)
        ]
    assert len(queries) == 60 + 1
    assert (answers[-1].status_code, int(answers[-1]["Retry-After"]) > 0) == (429, True)
    assert APIClient(headers={"Authorization": f"Token {token}"}).get("/api/v1/instances/").status_code == 200
    new = APIClient(headers={"Authorization": f"Token {ApiToken.objects.issue(User.objects.create_user('bia'))[1]}"})
    assert new.get("/api/v1/instances/").status_code == 429
    clock.now += 1
    assert new.get("/api/v1/instances/").status_code == 200


def test_a_site_with_very_many_tokens_looks_up_each_one_and_loads_none(
    monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    """A million digests took 210 MB in each process."""
    monkeypatch.setattr(access_tokens, "MAX_TOKENS", 1)
    tokens = access_tokens.LiveTokens()
    assert [one in tokens for one in (token, "wai_wrong")] == [True, False]
    new = ApiToken.objects.issue(User.objects.create_user("bia"))[1]
    tokens.reset()
    with CaptureQueriesContext(connection) as queries:
        assert [one in tokens for one in (token, new, "wai_wrong", "wai_wronger")] == [True] * 4
    assert len(queries) == 1


GUESSES, SECONDS = 2000, 12  # 10,000 a minute


def test_a_brute_force_of_10_000_guesses_a_minute_is_slowed_and_logged(
    monkeypatch: pytest.MonkeyPatch, rf: RequestFactory
) -> None:
    clock = StoppedClock()
    monkeypatch.setattr(token_buckets, "monotonic", clock)
    request = Request(rf.get("/", headers={"Authorization": f"Token {'x' * 300}"}, REMOTE_ADDR="192.0.2.7"))
    answers: Counter[type] = Counter()
    with capture() as lines:
        for _ in range(GUESSES):
            clock.now += SECONDS / GUESSES
            try:
                TokenAuthentication().authenticate(request)
            except APIException as error:
                answers[type(error)] += 1
        clock.now += 60
        with pytest.raises(AuthenticationFailed):
            TokenAuthentication().authenticate(request)
    assert 60 <= answers[AuthenticationFailed] <= 60 + SECONDS
    assert answers[Throttled] == GUESSES - answers[AuthenticationFailed]
    refused = lines.matching(message="Token REFUSED", context="api", level="WARN", address="192.0.2.7")
    assert len(refused) == len(lines) == 21
    assert refused[-1]["left_out"] == GUESSES - 20
    assert "xxx" not in str(lines)


def test_a_deactivated_user_is_refused(api: APIClient) -> None:
    User.objects.update(is_active=False)
    assert api.get("/api/v1/instances/").status_code == 401


def test_a_login_session_is_accepted() -> None:
    client = Client()
    client.force_login(User.objects.create_user("bia"))
    assert client.get("/api/v1/instances/").status_code == 200


def test_a_write_with_a_session_needs_a_csrf_token() -> None:
    chat = a_chat(an_instance())
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_user("bia"))
    response = client.post(f"/api/v1/conversations/{chat.pk}/archive/")
    assert response.status_code == 403
    assert "CSRF" in response.json()["detail"]
