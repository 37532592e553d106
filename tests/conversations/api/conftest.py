"""Somebody with an API token, and short ways to ask."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from knox.models import AuthToken
from rest_framework.test import APIClient

Ask = Callable[..., Any]


@pytest.fixture
def token(db: None) -> str:  # noqa: ARG001 - asks for the database
    _, token = AuthToken.objects.create(User.objects.create_user("ana"))
    return str(token)


@pytest.fixture
def api(token: str) -> APIClient:
    return APIClient(headers={"Authorization": f"Token {token}"})


@pytest.fixture
def get(api: APIClient) -> Ask:
    """GET a path under `/api/v1/` with query parameters; the answer's JSON, after its status has been checked."""

    def ask(path: str, status: int = 200, **query: Any) -> Any:
        answer = api.get(f"/api/v1/{path}", query)
        assert answer.status_code == status, answer.content
        assert answer["Content-Type"] == "application/json"
        return answer.json()

    return ask


@pytest.fixture
def post(api: APIClient) -> Ask:
    """POST to a path under `/api/v1/`, as `get`."""

    def ask(path: str, status: int = 200) -> Any:
        answer = api.post(f"/api/v1/{path}")
        assert answer.status_code == status, answer.content
        return answer.json()

    return ask
