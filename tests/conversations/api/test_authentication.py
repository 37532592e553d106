import pytest
from django.contrib.auth.models import User
from django.test import Client
from rest_framework.test import APIClient

from logs import token_buckets
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
    statuses = [wrong.get("/api/v1/instances/").status_code for _ in range(120)]
    assert statuses == [401] * 100 + [429] * 20
    assert int(wrong.get("/api/v1/instances/")["Retry-After"]) > 0
    assert APIClient(headers={"Authorization": f"Token {token}"}).get("/api/v1/instances/").status_code == 200
    assert APIClient().get("/api/v1/instances/").status_code == 401, "no token is no wrong token"


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
