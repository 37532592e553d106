"""Tests of conversations/api/json_parser.py."""

import pytest
from rest_framework.test import APIClient


@pytest.mark.parametrize("content", ["[" * 100_000, '{"a":' * 50_000, "[" * 100_000 + "]" * 100_000], ids=range(3))
def test_json_with_too_many_levels_is_malformed(api: APIClient, content: str) -> None:
    answer = api.post("/api/v1/tokens/", content, content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (400, "parse_error")
