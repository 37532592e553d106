"""The admin shows a new token once, never changes what a token permits, and revokes tokens."""

import re
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client

from conversations.admin.tokens import REVOKE
from conversations.models import ApiToken
from tests.conversations.admin.pages import admin_url, list_url, page_url
from tests.conversations.rows import an_instance

pytestmark = pytest.mark.django_db


@pytest.fixture
def bia() -> User:
    return User.objects.create_user("bia")


def issue_by_form(client: Client, bia: User, **fields: Any) -> tuple[Any, str]:
    """Fill in the form of a new token; return the answer and the secret in it."""
    answer = client.post(admin_url(ApiToken, "add"), {"user": bia.pk, "scopes": ["read"], **fields})
    found = re.search(r'<code class="secret">(wai_[\w-]+)</code>', answer.content.decode())
    return answer, found[1] if found else ""


def status_of(token: str) -> int:
    return Client(headers={"Authorization": f"Token {token}"}).get("/api/v1/instances/").status_code


def test_a_new_token_is_shown_once_and_works(admin_client: Client, bia: User) -> None:
    shop = an_instance()
    answer, token = issue_by_form(admin_client, bia, name="painel", instances=[shop.pk])
    row = ApiToken.objects.get()
    assert (row.user, row.name, row.scopes, row.instance_ids) == (bia, "painel", ["read"], [shop.pk])
    assert status_of(token) == 200
    assert "no-store" in answer["Cache-Control"]
    assert token not in str(answer.cookies)
    assert not any(token in str(session.get_decoded()) for session in Session.objects.all())
    for url in (list_url(ApiToken), page_url(row), admin_url(ApiToken, "history", row.pk), "/admin/"):
        assert token not in admin_client.get(url).content.decode()
        assert row.digest[:16] not in admin_client.get(url).content.decode()


def test_a_token_without_a_choice_is_not_limited(admin_client: Client, bia: User) -> None:
    assert issue_by_form(admin_client, bia)[1]
    assert ApiToken.objects.get().instance_ids is None


@pytest.mark.parametrize("fields", [{"scopes": []}, {"scopes": ["all"]}, {"instances": [10**9]}, {"user": 10**9}])
def test_a_wrong_form_issues_nothing(admin_client: Client, bia: User, fields: Any) -> None:
    assert issue_by_form(admin_client, bia, **fields)[1] == ""
    assert not ApiToken.objects.exists()


def test_only_the_name_of_a_token_changes(admin_client: Client, bia: User) -> None:
    row, token = ApiToken.objects.issue(bia, scopes=["read"], instances=[an_instance().pk])
    form = {
        "name": "novo",
        "scopes": ["manage"],
        "instances": "",
        "instance_ids": "null",
        "user": 1,
        "expires_at_0": "",
    }
    admin_client.post(page_url(row), form)
    changed = ApiToken.objects.get()
    assert (changed.name, changed.scopes, changed.instance_ids) == ("novo", ["read"], row.instance_ids)
    assert (changed.user, changed.revoked_at, status_of(token)) == (bia, None, 200)


def test_the_button_and_the_action_revoke_a_token_and_those_that_it_made(admin_client: Client, bia: User) -> None:
    tokens = [ApiToken.objects.issue(bia) for _ in range(2)]
    made = [ApiToken.objects.issue(bia, made_by=row.pk)[1] for row, _ in tokens]
    (first, _), (second, _) = tokens
    assert REVOKE in admin_client.get(page_url(first)).content.decode()
    admin_client.post(page_url(first), {"name": "", REVOKE: "1"})
    assert [status_of(token) for _, token in tokens] == [401, 200]
    admin_client.post(list_url(ApiToken), {"action": "revoke", "_selected_action": [second.pk]})
    assert [status_of(token) for _, token in tokens] == [401, 401]
    assert [status_of(token) for token in made] == [401, 401]
    assert REVOKE not in admin_client.get(page_url(first)).content.decode()
    assert [entry.get_change_message() for entry in LogEntry.objects.order_by("pk")] == ["Revoked.", "Revoked."]


def test_the_list_shows_the_state_of_each_token(admin_client: Client, bia: User) -> None:
    ApiToken.objects.issue(bia, name="painel")[0].revoke()
    page = admin_client.get(list_url(ApiToken)).content.decode()
    assert "revoked" in page
    assert "Read messages, Change conversations, Send messages, Manage" in page
