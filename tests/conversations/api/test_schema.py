"""The OpenAPI schema is complete and valid, and can be read without a token."""

import re
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from jsonschema import Draft4Validator  # type: ignore[import-untyped]  # the type stubs of jsonschema are a separate package
from rest_framework.test import APIClient

from conversations.models import Participant
from tests.conversations.rows import NOON, a_chat, a_contact, a_group, a_message, an_instance


@pytest.fixture
def schema(client: Client) -> Any:
    return client.get("/api/schema/", headers={"Accept": "application/json"}).json()


def test_the_schema_is_valid_and_generated_without_warnings(tmp_path: Any) -> None:
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(tmp_path / "schema.yml"))


def test_the_schema_contains_every_route(schema: Any) -> None:
    operations = {(path, method) for path, methods in schema["paths"].items() for method in methods}
    resources = ("instances", "contacts", "conversations", "messages")
    expected = {(f"/api/v1/{name}/{tail}", "get") for name in resources for tail in ("", "{id}/")}
    expected |= {("/api/v1/conversations/{id}/messages/", "get"), ("/api/v1/messages/{id}/media/", "get")}
    expected |= {("/api/v1/media-ticket/", "get"), ("/api/v1/messages/{id}/thumbnail/", "get")}
    changes = ("mark-read", "archive", "unarchive", "pin", "unpin")
    expected |= {(f"/api/v1/conversations/{{id}}/{change}/", "post") for change in changes}
    assert operations == expected


def test_every_operation_has_a_description_and_requires_a_token(schema: Any) -> None:
    for methods in schema["paths"].values():
        for operation in methods.values():
            assert operation["description"]
            assert {"token": []} in operation["security"]
            assert all(p.get("description") for p in operation["parameters"] if p["in"] == "query")


def test_the_id_parameter_is_an_integer(schema: Any) -> None:
    (parameter,) = schema["paths"]["/api/v1/messages/{id}/"]["get"]["parameters"]
    assert parameter["schema"] == {"type": "integer", "format": "int64"}


def nullable(schema: Any) -> Any:
    """Return an OpenAPI 3.0 schema as equivalent JSON Schema, in which `nullable` becomes `anyOf` with null."""
    if isinstance(schema, list):
        return [nullable(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {name: nullable(part) for name, part in schema.items() if name != "nullable"}
    return {"anyOf": [plain, {"type": "null"}]} if schema.get("nullable") is True else plain


@pytest.mark.django_db
def test_responses_match_the_schema(api: APIClient, schema: Any) -> None:
    instance = an_instance(labels={"1": {"name": "pago", "color": 1, "deleted": False}})
    chat, group = a_chat(instance, last_message_at=NOON), a_group(instance, labels={"1": True})
    Participant.objects.create(conversation=group, contact=a_contact(instance), clock="1")
    reactions = {"me": {"emoji": "👍", "who": "me", "at": 1}}
    poll = {"me": {"options": ["sim"], "who": "me", "at": 1}}
    chat.last_message = a_message(chat, quoted_key_id="3EB0", reactions=reactions, poll_results=poll, kind="poll")
    chat.last_message_kind = "poll"
    chat.save()
    pks = {"instances": instance.pk, "contacts": chat.contact_id, "messages": chat.last_message.pk}
    for path, methods in schema["paths"].items():
        resource = path.split("/")[3]
        url = path.replace("{id}", str(pks.get(resource, group.pk if path.endswith("{id}/") else chat.pk)))
        for method, operation in methods.items():
            response = getattr(api, method)(url)
            response_schema = operation["responses"][str(response.status_code)]["content"][response["Content-Type"]][
                "schema"
            ]
            Draft4Validator({**nullable(response_schema), "components": nullable(schema["components"])}).validate(
                response.json()
            )


def test_the_documentation_page_loads_no_asset_from_another_server(client: Client) -> None:
    page = client.get("/api/docs/").content.decode()
    assets = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(assets) >= 3
    for asset in assets:
        response = client.get(asset)
        assert (response.status_code, bool(b"".join(response))) == (200, True)
    assert "://" not in page.replace("http://testserver", "")


@pytest.mark.parametrize("path", ["/api/schema/", "/api/docs/", "/api/schema", "/api/docs"])
def test_the_schema_and_its_page_ignore_a_wrong_token(client: Client, path: str) -> None:
    assert client.get(path, headers={"Authorization": "Token wrong"}).status_code == 200


@pytest.mark.parametrize(
    "query", ["lang=%00", "lang=../../x", "lang=pt-br", f"lang={'x' * 600}", "version=9", "format=x"]
)
@pytest.mark.parametrize("path", ["/api/schema/", "/api/docs/"])
def test_an_odd_query_parameter_causes_no_server_error(client: Client, path: str, query: str) -> None:
    assert client.get(f"{path}?{query}").status_code in (200, 404)


def test_the_site_root_redirects_to_a_page_that_exists(client: Client) -> None:
    response = client.get("/")
    assert response.status_code == 302
    assert client.get(response["Location"]).status_code == 200
