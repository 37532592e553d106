"""The OpenAPI schema is complete and valid, and can be read without a token."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # the type stubs of jsonschema are a separate package
from rest_framework.test import APIClient

from conversations.api.schema_webhook import EXAMPLE, REFUSED, STORED
from conversations.models import ApiToken, Instance, Membership, Participant
from tests.conversations.rows import NOON, a_chat, a_contact, a_group, a_message, an_instance


@pytest.fixture
def schema(client: Client) -> Any:
    found = client.get("/api/schema/", headers={"Accept": "application/json"}).json()
    found["paths"] = {path: methods for path, methods in found["paths"].items() if path.startswith("/api/")}
    return found


def test_the_schema_is_valid_and_generated_without_warnings(tmp_path: Any) -> None:
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(tmp_path / "schema.yml"))


def test_the_schema_contains_every_route(schema: Any) -> None:
    operations = {(path, method) for path, methods in schema["paths"].items() for method in methods}
    resources = ("instances", "contacts", "conversations", "messages")
    expected = {(f"/api/v1/{name}/{tail}", "get") for name in resources for tail in ("", "{id}/")}
    expected |= {(f"/api/v1/conversations/{{id}}/{name}/", "get") for name in ("messages", "participants")}
    expected |= {("/api/v1/messages/{id}/media/", "get")}
    expected |= {("/api/v1/media-ticket/", "get"), ("/api/v1/messages/{id}/thumbnail/", "get")}
    expected |= {(f"/api/v1/search/{name}/", "get") for name in ("contacts", "conversations", "messages")}
    expected |= {
        ("/api/v1/changes/", "get"),
        ("/api/v1/events/", "get"),
        ("/api/v1/event-ticket/", "get"),
        ("/api/v1/cache/stats/", "get"),
        ("/api/v1/conversations/counters/", "get"),
    }
    changes = ("mark-read", "mark-unread", "archive", "unarchive", "pin", "unpin")
    expected |= {(f"/api/v1/conversations/{{id}}/{change}/", "post") for change in changes}
    expected |= {(f"/api/v1/{name}/{{id}}/", "patch") for name in ("contacts", "conversations")}
    expected |= {("/api/v1/conversations/bulk/", "post"), ("/api/v1/me/", "get")}
    expected |= {(f"/api/v1/{name}/", method) for name in ("memberships", "tokens") for method in ("get", "post")}
    expected |= {(f"/api/v1/{name}/{{id}}/", "delete") for name in ("memberships", "tokens")}
    expected |= {("/api/v1/memberships/{id}/", method) for method in ("get", "patch")}
    expected |= {("/api/v1/webhooks/", method) for method in ("get", "post")}
    expected |= {("/api/v1/webhooks/{id}/", method) for method in ("get", "patch", "delete")}
    expected |= {(f"/api/v1/webhooks/{{id}}/{name}/", "post") for name in ("test", "replay", "rotate-secret")}
    expected |= {("/api/v1/webhooks/{id}/attempts/", "get")}
    assert operations == expected


def test_every_operation_has_a_description_and_requires_a_token(schema: Any) -> None:
    for methods in schema["paths"].values():
        for operation in methods.values():
            assert operation["description"]
            assert {"token": []} in operation["security"]
            assert all(p.get("description") for p in operation.get("parameters", ()) if p["in"] == "query")


def test_the_id_parameter_is_an_integer(schema: Any) -> None:
    parameters = schema["paths"]["/api/v1/messages/{id}/"]["get"]["parameters"]
    (parameter,) = [parameter for parameter in parameters if parameter["in"] == "path"]
    assert parameter["schema"].items() >= {"type": "integer", "format": "int64"}.items()


def test_operations_have_short_unique_names(schema: Any) -> None:
    names = [operation["operationId"] for methods in schema["paths"].values() for operation in methods.values()]
    assert len(names) == len(set(names))
    assert {"conversations_list", "conversations_retrieve", "conversations_mark_read", "messages_media"} <= set(names)


def test_every_operation_has_the_errors_of_the_table(schema: Any) -> None:
    problem = {"$ref": "#/components/schemas/Problem"}
    for methods in schema["paths"].values():
        for method, operation in methods.items():
            refused = {int(status): answer for status, answer in operation["responses"].items() if int(status) >= 400}
            assert set(refused) >= {400, 401, 403, 404, 429, 500, 503} | ({412} if method == "patch" else set())
            for answer in refused.values():
                assert answer["content"]["application/problem+json"]["schema"] == problem


def test_examples_are_valid(schema: Any) -> None:
    count = 0
    for component in schema["components"]["schemas"].values():
        for found in (component, *component.get("properties", {}).values()):
            for example in found.get("examples", ()):
                Draft202012Validator(found).validate(example)
                count += 1
    assert count > 30


@pytest.mark.django_db
def test_the_webhook_answers_as_its_description_says(client: Client) -> None:
    operation = client.get("/api/schema/?format=json").json()["paths"]["/webhooks/evolution/{name}"]["post"]
    instance = an_instance()
    body, token = operation["requestBody"]["content"]["application/json"], Instance.objects.issue_token(instance.pk)
    assert body["schema"] == {"$ref": "#/components/schemas/WebhookEvent"}
    for key, status in ((token, 202), ("wrong", 401)):
        url, headers = f"/webhooks/evolution/{instance.name}", {"Authorization": f"Bearer {key}"}
        answer = client.post(url, EXAMPLE, content_type="application/json", headers=headers)
        assert (answer.status_code, str(status) in operation["responses"]) == (status, True)
        described = STORED if status == 202 else REFUSED
        Draft202012Validator(described).validate(answer.json())


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
    ana = User.objects.get()
    pks["memberships"] = Membership.objects.create(user=ana, instance=instance).pk
    pks["tokens"] = ApiToken.objects.issue(ana)[0].pk
    bodies = {
        "/api/v1/tokens/": {"scopes": ["read"]},
        "/api/v1/memberships/": {"instance_id": an_instance().pk, "username": "ana", "role": "agent"},
        "/api/v1/memberships/{id}/": {"role": "reader"},
    }
    for path, methods in schema["paths"].items():
        resource = path.split("/")[3]
        url = path.replace("{id}", str(pks.get(resource, group.pk if path.endswith("{id}/") else chat.pk)))
        for method, operation in methods.items():
            response = getattr(api, method)(url, bodies.get(path), format="json" if method != "get" else None)
            if response.status_code == 204:
                continue
            response_schema = operation["responses"][str(response.status_code)]["content"][response["Content-Type"]][
                "schema"
            ]
            Draft202012Validator({**response_schema, "components": schema["components"]}).validate(response.json())


def test_the_documentation_page_loads_no_asset_from_another_server(client: Client) -> None:
    page = client.get("/api/docs/").content.decode()
    assets = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(assets) >= 3
    for asset in assets:
        response = client.get(asset)
        assert (response.status_code, bool(b"".join(response))) == (200, True)
    assert "://" not in page.replace("http://testserver", "")


@pytest.mark.django_db
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
