"""Fixtures of the API tests: an API token, and functions that send requests with the token."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from conversations.models import ApiToken

ApiCall = Callable[..., Any]


@pytest.fixture
def token(db: None) -> str:  # noqa: ARG001 - the fixture "db" enables database access
    _, token = ApiToken.objects.issue(User.objects.create_user("ana", is_superuser=True))
    return str(token)


@pytest.fixture
def api(token: str) -> APIClient:
    return APIClient(headers={"Authorization": f"Token {token}"})


@pytest.fixture
def get(api: APIClient) -> ApiCall:
    """Return a function that sends a GET request to the API, checks the status code and returns the decoded JSON."""

    def send(path: str, status: int = 200, **query: Any) -> Any:
        response = api.get(f"/api/v1/{path}", query)
        assert response.status_code == status, response.content
        assert response["Content-Type"] == ("application/json" if status == 200 else "application/problem+json")
        return response.json()

    return send


@pytest.fixture
def post(api: APIClient) -> ApiCall:
    """Return a function that sends a POST request to the API, checks the status code and returns the decoded JSON."""

    def send(path: str, status: int = 200) -> Any:
        response = api.post(f"/api/v1/{path}")
        assert response.status_code == status, response.content
        return response.json()

    return send
