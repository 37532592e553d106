import json
import shlex
from io import StringIO
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command
from django.test import Client

from conversations.models import Instance, WebhookEvent
from tests.cachelayer.conftest import cache_runtime  # noqa: F401 - pytest finds the imported fixture by name

pytestmark = pytest.mark.django_db

SERVER = "https://evo.example.com"
BODY = {"event": "connection.update", "instance": "sales", "data": {"instance": "sales", "state": "open"}}


def run_command(*arguments: str) -> str:
    out = StringIO()
    call_command("webhook_token", *arguments, stdout=out)
    return out.getvalue()


def issue_token(*arguments: str) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(run_command(*arguments, "--json"))
    return report


def post(client: Client, url: str, body: dict[str, Any] | None = None, **headers: str) -> int:
    target = url.removeprefix("{0.scheme}://{0.netloc}".format(urlsplit(url)))
    return client.post(target, body or BODY, content_type="application/json", headers=headers).status_code


def test_a_new_instance_has_a_working_token(client: Client) -> None:
    report = issue_token("sales", "--server", SERVER)
    instance = Instance.objects.get(name="sales", server_url=SERVER)
    webhook = report["body"]["webhook"]
    assert report["created"]
    assert not instance.is_global_webhook
    assert post(client, webhook["url"], **webhook["headers"]) == 202
    assert WebhookEvent.objects.get().instance == instance


def test_the_body_is_that_of_evolutions_webhook_set() -> None:
    report = issue_token("sales", "--server", SERVER)
    webhook = report["body"]["webhook"]
    assert report["path"] == "/webhook/set/sales"
    assert webhook.pop("events")
    assert webhook == {
        "enabled": True,
        "url": "http://127.0.0.1:8000/webhooks/evolution/sales",
        "headers": {"Authorization": f"Bearer {report['token']}"},
        "byEvents": False,
        "base64": True,
    }


def test_the_body_for_a_new_instance_has_the_same_webhook_and_imports_the_history() -> None:
    report = issue_token("sales", "--server", SERVER)
    assert report["create"]["webhook"] == report["body"]["webhook"]
    assert report["create"].keys() - report["body"].keys() == {
        "instanceName", "integration", "qrcode", "syncFullHistory",
    }  # fmt: skip
    assert (report["create"]["instanceName"], report["create"]["syncFullHistory"]) == ("sales", True)


def test_media_can_be_left_out() -> None:
    report = issue_token("sales", "--server", SERVER, "--no-media")
    assert report["body"]["webhook"]["base64"] is False
    assert report["create"]["webhook"]["base64"] is False
    assert report["restart"] not in run_command("sales", "--no-media")
    assert report["restart"] in run_command("sales")


def test_the_history_command_has_every_setting_that_evolution_requires() -> None:
    command = shlex.split(issue_token("sales", "--server", SERVER)["history"])
    assert f"{SERVER}/settings/set/sales" in command
    assert json.loads(command[-1]) == {
        "rejectCall": False, "groupsIgnore": False, "alwaysOnline": False, "readMessages": False, "readStatus": False,
        "syncFullHistory": True,
    }  # fmt: skip


@pytest.mark.parametrize("server", [SERVER, "none"])
def test_the_curl_command_posts_the_body_to_the_server(server: str) -> None:
    report = issue_token("it's São Paulo", "--server", server)
    command, *arguments = shlex.split(report["curl"])
    base = "$EVOLUTION_URL" if server == "none" else server
    assert command == "curl"
    assert f"{base}/webhook/set/it%27s%20S%C3%A3o%20Paulo" in arguments
    assert "apikey: $EVOLUTION_API_KEY" in arguments
    assert '"apikey: $EVOLUTION_API_KEY"' in report["curl"], "the shell must expand the variable"
    assert json.loads(arguments[arguments.index("-d") + 1]) == report["body"]


def test_the_text_contains_the_token_the_body_and_the_curl_command() -> None:
    text = run_command("sales", "--server", SERVER)
    lines = text.splitlines()
    (curl,) = [line for line in lines if line.startswith("curl ") and "/webhook/set/" in line]
    body = json.loads(text[text.index("\n{") : text.index("\n}") + 2])
    token = body["webhook"]["headers"]["Authorization"].removeprefix("Bearer ")
    assert f"  {token}" in lines
    assert token in curl
    assert "WEBHOOK_GLOBAL" not in text
    assert "old token" not in text


def test_the_token_is_not_stored() -> None:
    token = issue_token("sales")["token"]
    row = Instance.objects.values().get(name="sales")
    assert len(token) > 40
    assert token not in map(str, row.values())


def test_for_server_configures_a_working_global_webhook(client: Client) -> None:
    report = issue_token("gateway", "--server", SERVER, "--for-server")
    variables = report["global"]
    assert variables["WEBHOOK_GLOBAL_ENABLED"] == "true"
    assert post(client, variables["WEBHOOK_GLOBAL_URL"]) == 202
    assert post(client, variables["WEBHOOK_GLOBAL_URL"] + "/connection-update", {**BODY, "x": 1}) == 202
    assert {row.instance.name for row in WebhookEvent.objects.select_related("instance")} == {"sales"}
    assert Instance.objects.get(name="sales").server_url == SERVER


def test_the_text_has_the_variables_of_the_global_webhook() -> None:
    assert "\nWEBHOOK_GLOBAL_ENABLED=true\n" in run_command("gateway", "--server", SERVER, "--for-server")
    assert "\nWEBHOOK_GLOBAL_URL=http" in run_command("gateway"), "the instance stays a global webhook"
    assert Instance.objects.get().is_global_webhook


def test_for_server_can_be_taken_back(client: Client) -> None:
    url = issue_token("gateway", "--server", SERVER, "--for-server")["global"]["WEBHOOK_GLOBAL_URL"]
    report = issue_token("gateway", "--no-for-server")
    assert report["global"] is None
    assert post(client, url) == 202, "the old token stays valid for the instance's own events"
    assert {row.instance.name for row in WebhookEvent.objects.select_related("instance")} == {"gateway"}
    assert "WEBHOOK_GLOBAL" not in run_command("gateway")


def test_for_server_without_a_server_means_no_other_instance(client: Client) -> None:
    Instance.objects.create(name="sales")
    report = issue_token("gateway", "--for-server")
    assert any("--for-server needs --server" in warning for warning in report["warnings"])
    assert report["global"] is None
    assert post(client, report["url"], authorization=f"Bearer {report['token']}") == 202
    assert WebhookEvent.objects.get().instance.name == "gateway"
    assert Instance.objects.count() == 2


def test_the_old_token_stays_valid_for_an_hour(client: Client) -> None:
    old = issue_token("sales")
    assert old["old_token_until"] is None
    new = issue_token("sales")
    assert not new["created"]
    assert new["old_token_until"]
    for report in (old, new):
        assert post(client, report["url"], authorization=f"Bearer {report['token']}") == 202
    assert "The old token is valid until" in run_command("sales")


def test_the_old_token_can_be_revoked_immediately(client: Client) -> None:
    old = issue_token("sales")
    new = issue_token("sales", "--revoke-old")
    assert new["old_token_until"] is None
    assert post(client, old["url"], authorization=f"Bearer {old['token']}") == 401
    assert post(client, new["url"], authorization=f"Bearer {new['token']}") == 202


def test_an_unambiguous_name_needs_no_server() -> None:
    issue_token("sales", "--server", SERVER + "/")
    assert issue_token("sales")["server"] == SERVER
    assert Instance.objects.count() == 1


def test_an_ambiguous_name_requires_a_server() -> None:
    for server in (SERVER, "https://other.example.com", "none"):
        issue_token("sales", "--server", server)
    with pytest.raises(CommandError, match=f"{SERVER}, https://other.example.com, none$"):
        run_command("sales")
    assert issue_token("sales", "--server", "none")["created"] is False
    assert issue_token("sales", "--server", SERVER)["created"] is False


@pytest.mark.parametrize("name", ["", "  ", "a/b", "..", "n" * 256, "a\nb"])
def test_a_name_that_cannot_be_in_a_url_is_an_error(name: str) -> None:
    with pytest.raises(CommandError, match="The name"):
        run_command(name)
    assert not Instance.objects.exists()


@pytest.mark.parametrize("server", ["", "evo.example.com", "ftp://evo.example.com", "https://key@evo.example.com"])
def test_a_server_that_is_not_an_http_url_is_an_error(server: str) -> None:
    with pytest.raises(CommandError, match="--server must be"):
        run_command("sales", "--server", server)
    assert not Instance.objects.exists()


@pytest.mark.parametrize(
    ("first", "again"),
    [
        ("http://localhost:8080", "http://127.0.0.1:8080/"),
        ("http://127.0.0.1:8080", "HTTP://LocalHost:8080"),
        ("http://localhost:8080", "http://[::1]:8080"),
        ("http://localhost:8080", "http://0.0.0.0:8080"),
        ("http://localhost", "http://127.0.0.1:80//"),
        ("https://evo.example.com", "https://EVO.Example.com.:443/"),
        ("https://evo.example.com/api", "https://evo.example.com/api/"),
        ("http://[::1]:8080", "http://[0:0:0:0:0:0:0:1]:8080"),
    ],
)
def test_another_spelling_of_the_server_makes_no_second_instance(first: str, again: str) -> None:
    report = issue_token("sales", "--server", first)
    second = issue_token("sales", "--server", again)
    assert (second["created"], second["server"]) == (False, report["server"])
    assert Instance.objects.count() == 1


@pytest.mark.parametrize(
    "other", ["https://localhost:8080", "http://localhost:8081", "http://10.0.0.1:8080", "http://localhost:8080/evo"]
)
def test_another_server_makes_a_second_instance_and_a_warning(other: str) -> None:
    issue_token("sales", "--server", "http://localhost:8080")
    report = issue_token("sales", "--server", other)
    assert report["created"]
    assert any("second instance" in warning and "http://localhost:8080" in warning for warning in report["warnings"])


def test_a_server_that_was_stored_under_another_spelling_is_found() -> None:
    Instance.objects.create(name="sales", server_url="http://Evo.Example.com:80")
    assert issue_token("sales", "--server", "http://evo.example.com")["created"] is False


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("cache_runtime")
def test_a_new_token_works_from_the_moment_it_is_printed(client: Client) -> None:
    for _ in range(3):
        report = issue_token("sales", "--server", SERVER, "--revoke-old")
        assert post(client, report["url"], authorization=f"Bearer {report['token']}") == 202


def test_warnings_are_shown_and_are_part_of_the_json(settings: LazySettings) -> None:
    settings.PUBLIC_URL, settings.ALLOWED_HOSTS = "http://127.0.0.1:8001", ["127.0.0.1"]
    out, err = StringIO(), StringIO()
    call_command("webhook_token", "sales", "--server", SERVER, "--json", stdout=out, stderr=err)
    (warning,) = json.loads(out.getvalue())["warnings"]
    assert err.getvalue() == f"warning: {warning}\n"
    assert "cannot reach http://127.0.0.1:8001" in warning


def test_a_public_url_outside_of_allowed_hosts_causes_a_warning(settings: LazySettings) -> None:
    settings.PUBLIC_URL, settings.ALLOWED_HOSTS = "https://whatsai.example.com", ["127.0.0.1"]
    out, err = StringIO(), StringIO()
    call_command("webhook_token", "sales", "--json", stdout=out, stderr=err)
    assert "'whatsai.example.com'" in err.getvalue()
    assert json.loads(out.getvalue())["url"].startswith("https://whatsai.example.com/")
    settings.ALLOWED_HOSTS = [".example.com"]
    call_command("webhook_token", "sales", stdout=out, stderr=(err := StringIO()))
    assert err.getvalue() == ""
