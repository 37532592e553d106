"""The description of the API: complete, valid, and open to who has no token yet."""

import re
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from jsonschema import Draft4Validator  # type: ignore[import-untyped]  # its types are a package of their own
from rest_framework.test import APIClient

from conversations.models import Participant
from tests.conversations.rows import NOON, a_chat, a_contact, a_group, a_message, an_instance


@pytest.fixture
def described(client: Client) -> Any:
    return client.get("/api/schema/", headers={"Accept": "application/json"}).json()


def test_the_description_is_valid_and_no_warning_is_given(tmp_path: Any) -> None:
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(tmp_path / "schema.yml"))


def test_every_route_is_described(described: Any) -> None:
    operations = {(path, method) for path, methods in described["paths"].items() for method in methods}
    resources = ("instances", "contacts", "conversations", "messages")
    expected = {(f"/api/v1/{name}/{tail}", "get") for name in resources for tail in ("", "{id}/")}
    expected |= {("/api/v1/conversations/{id}/messages/", "get"), ("/api/v1/messages/{id}/media/", "get")}
    changes = ("mark-read", "archive", "unarchive", "pin", "unpin")
    expected |= {(f"/api/v1/conversations/{{id}}/{change}/", "post") for change in changes}
    assert operations == expected


def test_every_operation_says_what_it_is_for_and_asks_for_a_token(described: Any) -> None:
    for methods in described["paths"].values():
        for operation in methods.values():
            assert operation["description"]
            assert {"token": []} in operation["security"]
            assert all(p.get("description") for p in operation["parameters"] if p["in"] == "query")


def test_an_id_is_a_number(described: Any) -> None:
    (parameter,) = described["paths"]["/api/v1/messages/{id}/"]["get"]["parameters"]
    assert parameter["schema"] == {"type": "integer", "format": "int64"}


def nullable(schema: Any) -> Any:
    """OpenAPI 3.0's `nullable`, in the words of JSON Schema."""
    if isinstance(schema, list):
        return [nullable(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {name: nullable(part) for name, part in schema.items() if name != "nullable"}
    return {"anyOf": [plain, {"type": "null"}]} if schema.get("nullable") is True else plain


@pytest.mark.django_db
def test_answers_are_as_described(api: APIClient, described: Any) -> None:
    instance = an_instance(labels={"1": {"name": "pago", "color": 1, "deleted": False}})
    chat, group = a_chat(instance, last_message_at=NOON), a_group(instance, labels={"1": True})
    Participant.objects.create(conversation=group, contact=a_contact(instance), clock="1")
    reactions = {"me": {"emoji": "👍", "who": "me", "at": 1}}
    poll = {"me": {"options": ["sim"], "who": "me", "at": 1}}
    chat.last_message = a_message(chat, quoted_key_id="3EB0", reactions=reactions, poll_results=poll, kind="poll")
    chat.last_message_kind = "poll"
    chat.save()
    pks = {"instances": instance.pk, "contacts": chat.contact_id, "messages": chat.last_message.pk}
    for path, methods in described["paths"].items():
        resource = path.split("/")[3]
        url = path.replace("{id}", str(pks.get(resource, group.pk if path.endswith("{id}/") else chat.pk)))
        for method, operation in methods.items():
            answer = getattr(api, method)(url)
            schema = operation["responses"][str(answer.status_code)]["content"]["application/json"]["schema"]
            Draft4Validator({**nullable(schema), "components": nullable(described["components"])}).validate(
                answer.json()
            )


def test_the_page_and_all_it_loads_come_from_this_server(client: Client) -> None:
    page = client.get("/api/docs/").content.decode()
    assets = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(assets) >= 3
    for asset in assets:
        answer = client.get(asset)
        assert (answer.status_code, bool(b"".join(answer))) == (200, True)
    assert "://" not in page.replace("http://testserver", "")


@pytest.mark.parametrize("path", ["/api/schema/", "/api/docs/", "/api/schema", "/api/docs"])
def test_a_wrong_token_does_not_keep_anyone_from_reading_it(client: Client, path: str) -> None:
    assert client.get(path, headers={"Authorization": "Token wrong"}).status_code == 200


@pytest.mark.parametrize(
    "query", ["lang=%00", "lang=../../x", "lang=pt-br", f"lang={'x' * 600}", "version=9", "format=x"]
)
@pytest.mark.parametrize("path", ["/api/schema/", "/api/docs/"])
def test_no_parameter_breaks_the_description(client: Client, path: str, query: str) -> None:
    assert client.get(f"{path}?{query}").status_code in (200, 404)


def test_the_root_leads_to_the_page(client: Client) -> None:
    answer = client.get("/")
    assert answer.status_code == 302
    assert client.get(answer["Location"]).status_code == 200
