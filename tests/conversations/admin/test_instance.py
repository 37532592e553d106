import base64
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from conversations.admin import instance as pages
from conversations.models import Conversation, Instance, WebhookEvent
from tests.conversations.admin.conftest import Populate, Staff
from tests.conversations.admin.pages import delete_url, list_url, page_url

ADD = "admin:conversations_instance_add"
PNG = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n....").decode()


@pytest.fixture
def row(db: None) -> Instance:  # noqa: ARG001 - asks for the database
    return Instance.objects.create(name="loja", server_url="https://evo.example.com")


def test_an_instance_is_added_by_its_name_and_server(admin_client: Client) -> None:
    data = {"name": "loja", "server_url": "https://evo.example.com/", "state": "open", "token_hash": "f" * 64}
    assert admin_client.post(reverse(ADD), data).status_code == 302
    row = Instance.objects.get()
    assert (row.name, row.server_url, row.state, row.token_hash) == ("loja", "https://evo.example.com", "unknown", "")


@pytest.mark.parametrize(
    ("name", "server"),
    [("a/b", ""), ("..", ""), ("", ""), ("loja", "evo.example.com"), ("loja", "https://user:secret@evo.example.com")],
)
def test_what_no_webhook_could_name_is_refused(admin_client: Client, name: str, server: str) -> None:
    response = admin_client.post(reverse(ADD), {"name": name, "server_url": server})
    assert response.status_code == 200
    assert "errorlist" in response.content.decode()
    assert not Instance.objects.exists()


def test_one_name_is_there_once_a_server(admin_client: Client, row: Instance) -> None:
    data = {"name": row.name, "server_url": row.server_url}
    assert "already exists" in admin_client.post(reverse(ADD), data).content.decode()
    assert admin_client.post(reverse(ADD), data | {"server_url": ""}).status_code == 302


def test_adding_takes_its_permission(staff: Staff, db: None) -> None:  # noqa: ARG001 - asks for the database
    assert staff("view_instance").get(reverse(ADD)).status_code == 403


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ({"state": "open"}, '<span class="badge badge-good">open</span>'),
        ({"state": "close"}, '<span class="badge badge-bad">close</span>'),
        ({"state": "open", "is_removed": True}, '<span class="badge badge-plain">removed</span>'),
    ],
)
def test_its_state_is_seen_at_a_glance(admin_client: Client, row: Instance, values: dict[str, Any], shown: str) -> None:
    Instance.objects.filter(pk=row.pk).update(**values)
    assert shown in admin_client.get(list_url(Instance)).content.decode()
    assert shown in admin_client.get(page_url(row)).content.decode()


@pytest.mark.parametrize(
    ("state", "qr_code", "images"),
    [("connecting", PNG, 1), ("open", PNG, 0), ("connecting", "data:text/html;base64,PHNjcmlwdD4=", 0)],
)
def test_the_pairing_image_is_shown_while_it_can_be_scanned(
    admin_client: Client, row: Instance, state: str, qr_code: str, images: int
) -> None:
    Instance.objects.filter(pk=row.pk).update(state=state, qr_code=qr_code)
    content = admin_client.get(page_url(row)).content.decode()
    assert content.count(f'src="{PNG}"') == images
    assert "data:text/html" not in content


def test_no_page_shows_a_token_or_its_hash(admin_client: Client, row: Instance) -> None:
    first = Instance.objects.issue_token(row.pk)
    second = Instance.objects.issue_token(row.pk)
    row.refresh_from_db()
    for url in (page_url(row), list_url(Instance)):
        content = admin_client.get(url).content.decode()
        assert not any(secret in content for secret in (first, second, row.token_hash, row.previous_token_hash))


def test_its_rows_are_led_to_and_counted_to_a_bound(
    admin_client: Client, populate: Populate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "_COUNTED", 1)
    populate(1)
    row = Instance.objects.get()
    Conversation.objects.create(instance=row, kind="group", jid="1@g.us")
    content = admin_client.get(page_url(row)).content.decode()
    assert f'/admin/conversations/conversation/?instance={row.pk}">conversations: more than 1</a>' in content
    assert f'/admin/conversations/contact/?instance={row.pk}">contacts: 1</a>' in content


def test_one_without_history_can_be_deleted(admin_client: Client, row: Instance) -> None:
    assert admin_client.post(delete_url(row), {"post": "yes"}).status_code == 302
    assert not Instance.objects.exists()


def test_one_with_history_cannot(admin_client: Client, row: Instance) -> None:
    WebhookEvent.objects.create(instance=row, name="call", payload={}, digest="c")
    assert admin_client.post(delete_url(row), {"post": "yes"}).status_code == 403
    assert Instance.objects.exists()


def test_its_own_texts_are_escaped(admin_client: Client, row: Instance) -> None:
    hostile: dict[str, Any] = {
        "profile_name": "<script>x",
        "picture_url": "javascript:<script>x",
        "labels": {"<script>x": {}},
    }
    Instance.objects.filter(pk=row.pk).update(**hostile)
    assert "<script>x" not in admin_client.get(page_url(row)).content.decode()
    assert "<script>x" not in admin_client.get(list_url(Instance)).content.decode()
