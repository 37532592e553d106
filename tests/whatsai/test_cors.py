"""Browsers let pages of the configured origins use the API with tokens, and pages of no other origin."""

from typing import Any

import pytest
from django.test import Client

OURS, OTHER = "https://front.example", "https://evil.example"
PATHS = ["/api/v1/instances/", "/api/v1/nothing/"]

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _origins(settings: Any) -> None:
    settings.CORS_ALLOWED_ORIGINS = [OURS]


@pytest.mark.parametrize("path", PATHS)
def test_an_allowed_origin_may_read_answers_and_errors(client: Client, path: str) -> None:
    answer = client.get(path, headers={"Origin": OURS})
    assert answer.status_code >= 400
    assert answer["Access-Control-Allow-Origin"] == OURS
    assert {"ETag", "X-Request-ID"} <= set(answer["Access-Control-Expose-Headers"].split(", "))
    assert "Access-Control-Allow-Credentials" not in answer
    assert "origin" in answer["Vary"]


def test_an_allowed_origin_may_ask_for_changes_with_their_headers(client: Client) -> None:
    asks = {"Origin": OURS, "Access-Control-Request-Method": "POST"}
    answer = client.options("/api/v1/conversations/1/archive/", headers=asks)
    assert (answer.status_code, answer.content) == (204, b"")
    assert "Content-Type" not in answer
    allowed = answer["Access-Control-Allow-Headers"].split(", ")
    assert {"authorization", "if-match", "idempotency-key", "if-none-match"} <= set(allowed)
    assert {"POST", "PATCH"} <= set(answer["Access-Control-Allow-Methods"].split(", "))


@pytest.mark.parametrize("origin", [OURS, OTHER])
@pytest.mark.parametrize("path", ["/api/", "/api/nothing", "/api/v1/nothing/"])
def test_a_preflight_of_an_unknown_path_is_not_found(client: Client, path: str, origin: str) -> None:
    answer = client.options(path, headers={"Origin": origin, "Access-Control-Request-Method": "PUT"})
    assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")
    assert answer["Cache-Control"] == "private, no-store"


@pytest.mark.parametrize("path", [*PATHS, "/admin/login/"])
def test_another_origin_and_pages_outside_of_the_api_get_no_permission(client: Client, path: str) -> None:
    origin = OTHER if path in PATHS else OURS
    assert "Access-Control-Allow-Origin" not in client.get(path, headers={"Origin": origin})
