"""Every response says what browsers may run, and responses of the API are not stored by anybody."""

import re

import pytest
from django.test import Client

from whatsai.response_headers import POLICY

pytestmark = pytest.mark.django_db

PAGES = ["/", "/admin/", "/admin/login/", "/api/docs/", "/api/schema/", "/nothing/", "/health/", "/webhooks/nothing"]
LISTS = [
    f"/admin/{path}/"
    for path in (
        "auth/user", "auth/user/add", "auth/group", "conversations/apitoken", "conversations/apitoken/add",
        "conversations/membership", "conversations/readingrecord", "cachelayer/countertotal",
        "conversations/instance", "conversations/contact", "conversations/conversation", "conversations/message",
        "conversations/webhookevent", "conversations/ingestcounter", "password_change",
    )
]  # fmt: skip


@pytest.mark.parametrize("path", PAGES + LISTS)
def test_every_response_has_a_policy_without_inline_code(admin_client: Client, path: str) -> None:
    answer = admin_client.get(path)
    assert answer.status_code in (200, 302, 404)
    policy = answer["Content-Security-Policy"]
    assert policy.split("; ") == [f"{name} {sources}" for name, sources in POLICY.items()]
    assert "unsafe" not in policy
    assert "*" not in policy


@pytest.mark.parametrize("path", PAGES + LISTS)
def test_no_page_contains_inline_code(admin_client: Client, path: str) -> None:
    answer = admin_client.get(path)
    page = answer.content.decode()
    assert not re.search(r"<style|<script(?![^>]*(?:src=|type=\"application/json\"))|\sstyle=|\son[a-z]+=\"", page)


@pytest.mark.parametrize("path", ["/api/v1/instances/", "/api/v1/nothing/", "/api/schema/"])
def test_responses_of_the_api_are_not_stored(admin_client: Client, path: str) -> None:
    for client in (admin_client, Client()):
        assert client.get(path)["Cache-Control"] == "private, no-store"
