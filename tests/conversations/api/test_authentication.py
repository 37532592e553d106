import pytest
from django.contrib.auth.models import User
from django.test import Client
from rest_framework.test import APIClient

from tests.conversations.rows import a_chat, an_instance

pytestmark = pytest.mark.django_db

PATHS = ["instances/", "contacts/", "conversations/", "messages/", "conversations/1/", "conversations/1/messages/"]


@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_read_without_a_token(path: str) -> None:
    answer = APIClient().get(f"/api/v1/{path}")
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == "Token"
    assert answer.json() == {"detail": "Authentication credentials were not provided."}


def test_nothing_is_written_without_a_token() -> None:
    chat = a_chat(an_instance())
    assert APIClient().post(f"/api/v1/conversations/{chat.pk}/archive/").status_code == 401
    chat.refresh_from_db()
    assert not chat.is_archived


def test_a_token_opens_the_api(api: APIClient) -> None:
    assert api.get("/api/v1/instances/").status_code == 200


@pytest.mark.parametrize(
    "header",
    ["Token", "Token wrong", "Token two words", "Token \xff\xfe", "Token a\0b", f"Token {'x' * 9000}", "Token olá"],
)
def test_a_wrong_token_is_refused_whatever_is_in_it(header: str) -> None:
    answer = Client().get("/api/v1/instances/", HTTP_AUTHORIZATION=header)
    assert answer.status_code == 401
    assert "detail" in answer.json()


def test_a_genuine_token_with_something_behind_it_is_refused(token: str) -> None:
    for wrong in (f"{token}x", f"{token[:-1]}", token.upper()):
        assert APIClient(headers={"Authorization": f"Token {wrong}"}).get("/api/v1/instances/").status_code == 401


def test_a_user_who_was_deactivated_is_refused(api: APIClient) -> None:
    User.objects.update(is_active=False)
    assert api.get("/api/v1/instances/").status_code == 401


def test_a_session_of_the_admin_opens_the_api() -> None:
    client = Client()
    client.force_login(User.objects.create_user("bia"))
    assert client.get("/api/v1/instances/").status_code == 200


def test_a_session_cannot_be_made_to_write_by_another_site() -> None:
    chat = a_chat(an_instance())
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_user("bia"))
    answer = client.post(f"/api/v1/conversations/{chat.pk}/archive/")
    assert answer.status_code == 403
    assert "CSRF" in answer.json()["detail"]
