import base64
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from conversations.admin import instance as instance_admin
from conversations.models import Conversation, Instance, Membership, Role, WebhookEvent
from tests.conversations.admin.conftest import Populate, StaffClient
from tests.conversations.admin.pages import delete_url, list_url, page_url

ADD_URL_NAME = "admin:conversations_instance_add"
PNG = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n....").decode()


@pytest.fixture
def row(db: None) -> Instance:  # noqa: ARG001 - the fixture "db" enables database access
    return Instance.objects.create(name="loja", server_url="https://evo.example.com")


def test_adding_an_instance_sets_only_its_name_and_server(admin_client: Client) -> None:
    data = {"name": "loja", "server_url": "https://evo.example.com/", "state": "open", "token_hash": "f" * 64}
    assert admin_client.post(reverse(ADD_URL_NAME), data).status_code == 302
    row = Instance.objects.get()
    assert (row.name, row.server_url, row.state, row.token_hash) == ("loja", "https://evo.example.com", "unknown", "")


@pytest.mark.parametrize(
    ("name", "server"),
    [("a/b", ""), ("..", ""), ("", ""), ("loja", "evo.example.com"), ("loja", "https://user:secret@evo.example.com")],
)
def test_an_invalid_name_or_server_url_is_refused(admin_client: Client, name: str, server: str) -> None:
    response = admin_client.post(reverse(ADD_URL_NAME), {"name": name, "server_url": server})
    assert response.status_code == 200
    assert "errorlist" in response.content.decode()
    assert not Instance.objects.exists()


def test_a_name_is_unique_per_server(admin_client: Client, row: Instance) -> None:
    data = {"name": row.name, "server_url": row.server_url}
    assert "already exists" in admin_client.post(reverse(ADD_URL_NAME), data).content.decode()
    assert admin_client.post(reverse(ADD_URL_NAME), data | {"server_url": ""}).status_code == 302


def test_adding_requires_the_add_permission(staff_client: StaffClient, db: None) -> None:  # noqa: ARG001 - the fixture "db" enables database access
    assert staff_client("view_instance").get(reverse(ADD_URL_NAME)).status_code == 403


def test_only_managers_of_a_global_webhook_add_instances_of_its_server(
    staff_client: StaffClient, admin_client: Client, row: Instance
) -> None:
    manager = staff_client("add_instance", "view_instance")
    other = Instance.objects.create(name="nova", server_url="https://other.example.com", is_global_webhook=True)
    for server in ("https://other.example.com", "HTTPS://Other.Example.com:443/"):
        pages = [manager.post(reverse(ADD_URL_NAME), {"name": name, "server_url": server}) for name in ("nova", "x")]
        assert ["global webhook" in page.content.decode() for page in pages] == [True, True]
        assert "already" not in pages[0].content.decode()
    Membership.objects.create(user=Membership.objects.get(instance=row).user, instance=other, role=Role.MANAGER)
    for client, name in ((manager, "x"), (admin_client, "y")):
        data = {"name": name, "server_url": other.server_url}
        assert client.post(reverse(ADD_URL_NAME), data).status_code == 302
    assert set(Instance.objects.values_list("name", flat=True)) == {row.name, other.name, "x", "y"}


@pytest.mark.parametrize(
    ("fields", "html"),
    [
        ({"state": "open"}, '<span class="badge badge-good">Open</span>'),
        ({"state": "close"}, '<span class="badge badge-bad">closed</span>'),
        ({"state": "open", "is_removed": True}, '<span class="badge badge-plain">removed</span>'),
    ],
)
def test_the_state_is_shown_as_a_badge(admin_client: Client, row: Instance, fields: dict[str, Any], html: str) -> None:
    Instance.objects.filter(pk=row.pk).update(**fields)
    assert html in admin_client.get(list_url(Instance)).content.decode()
    assert html in admin_client.get(page_url(row)).content.decode()


@pytest.mark.parametrize(
    ("state", "qr_code", "images"),
    [("connecting", PNG, 1), ("open", PNG, 0), ("connecting", "data:text/html;base64,PHNjcmlwdD4=", 0)],
)
def test_the_qr_code_is_shown_only_while_the_instance_is_connecting(
    admin_client: Client, row: Instance, state: str, qr_code: str, images: int
) -> None:
    Instance.objects.filter(pk=row.pk).update(state=state, qr_code=qr_code)
    content = admin_client.get(page_url(row)).content.decode()
    assert content.count(f'src="{PNG}"') == images
    assert "data:text/html" not in content


@pytest.mark.parametrize(("role", "images"), [(Role.READER, 0), (Role.AGENT, 0), (Role.MANAGER, 1)])
def test_the_qr_code_is_shown_to_managers_only(
    staff_client: StaffClient, row: Instance, role: Role, images: int
) -> None:
    Instance.objects.filter(pk=row.pk).update(state="connecting", qr_code=PNG)
    client = staff_client("view_instance")
    Membership.objects.update(role=role)
    content = client.get(page_url(row)).content.decode()
    assert row.name in content
    assert content.count(f'src="{PNG}"') == images


def test_no_page_shows_a_token_or_its_hash(admin_client: Client, row: Instance) -> None:
    first = Instance.objects.issue_token(row.pk)
    second = Instance.objects.issue_token(row.pk)
    row.refresh_from_db()
    for url in (page_url(row), list_url(Instance)):
        content = admin_client.get(url).content.decode()
        assert not any(secret in content for secret in (first, second, row.token_hash, row.previous_token_hash))


def test_the_page_links_to_related_rows_and_counts_them_up_to_a_limit(
    admin_client: Client, populate: Populate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instance_admin, "MAX_COUNTED_ROWS", 1)
    populate(1)
    row = Instance.objects.get()
    Conversation.objects.create(instance=row, kind="group", jid="1@g.us")
    content = admin_client.get(page_url(row)).content.decode()
    assert f'/admin/conversations/conversation/?instance={row.pk}">conversations: more than 1</a>' in content
    assert f'/admin/conversations/contact/?instance={row.pk}">contacts: 1</a>' in content


def test_an_instance_without_rows_can_be_deleted(admin_client: Client, row: Instance) -> None:
    assert admin_client.post(delete_url(row), {"post": "yes"}).status_code == 302
    assert not Instance.objects.exists()


@pytest.mark.parametrize(("role", "status"), [(Role.READER, 403), (Role.AGENT, 403), (Role.MANAGER, 302)])
def test_staff_delete_only_instances_that_they_manage(
    staff_client: StaffClient, row: Instance, role: Role, status: int
) -> None:
    client = staff_client("view_instance", "delete_instance")
    Membership.objects.update(role=role)
    assert client.post(delete_url(row), {"post": "yes"}).status_code == status
    assert Instance.objects.exists() == (role != Role.MANAGER)


def test_an_instance_with_events_cannot_be_deleted(admin_client: Client, row: Instance) -> None:
    WebhookEvent.objects.create(instance=row, name="call", payload={}, digest="c")
    assert admin_client.post(delete_url(row), {"post": "yes"}).status_code == 403
    assert Instance.objects.exists()


def test_texts_from_whatsapp_are_escaped(admin_client: Client, row: Instance) -> None:
    fields: dict[str, Any] = {
        "profile_name": "<script>x",
        "picture_url": "javascript:<script>x",
        "labels": {"<script>x": {}},
    }
    Instance.objects.filter(pk=row.pk).update(**fields)
    assert "<script>x" not in admin_client.get(page_url(row)).content.decode()
    assert "<script>x" not in admin_client.get(list_url(Instance)).content.decode()
