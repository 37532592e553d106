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

pytestmark = pytest.mark.django_db

SERVER = "https://evo.example.com"
BODY = {"event": "connection.update", "instance": "sales", "data": {"instance": "sales", "state": "open"}}


def text_of(*arguments: str) -> str:
    out = StringIO()
    call_command("webhook_token", *arguments, stdout=out)
    return out.getvalue()


def report_of(*arguments: str) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(text_of(*arguments, "--json"))
    return report


def deliver(client: Client, url: str, body: dict[str, Any] | None = None, **headers: str) -> int:
    target = url.removeprefix("{0.scheme}://{0.netloc}".format(urlsplit(url)))
    return client.post(target, body or BODY, content_type="application/json", headers=headers).status_code


def test_it_makes_the_instance_with_a_token_that_works(client: Client) -> None:
    report = report_of("sales", "--server", SERVER)
    instance = Instance.objects.get(name="sales", server_url=SERVER)
    webhook = report["body"]["webhook"]
    assert report["created"]
    assert not instance.is_global_webhook
    assert deliver(client, webhook["url"], **webhook["headers"]) == 202
    assert WebhookEvent.objects.get().instance == instance


def test_the_settings_are_those_of_evolution_s_webhook_set() -> None:
    report = report_of("sales", "--server", SERVER)
    webhook = report["body"]["webhook"]
    assert report["path"] == "/webhook/set/sales"
    assert webhook.pop("events")
    assert webhook == {
        "enabled": True,
        "url": "http://127.0.0.1:8000/webhooks/evolution/sales",
        "headers": {"Authorization": f"Bearer {report['token']}"},
        "byEvents": False,
        "base64": False,
    }


@pytest.mark.parametrize("server", [SERVER, "none"])
def test_the_curl_line_posts_those_settings_to_that_server(server: str) -> None:
    report = report_of("it's São Paulo", "--server", server)
    command, *arguments = shlex.split(report["curl"])
    base = "$EVOLUTION_URL" if server == "none" else server
    assert command == "curl"
    assert f"{base}/webhook/set/it%27s%20S%C3%A3o%20Paulo" in arguments
    assert "apikey: $EVOLUTION_API_KEY" in arguments
    assert '"apikey: $EVOLUTION_API_KEY"' in report["curl"], "the shell is to put the key in"
    assert json.loads(arguments[arguments.index("-d") + 1]) == report["body"]


def test_the_text_shows_everything_once() -> None:
    text = text_of("sales", "--server", SERVER)
    lines = text.splitlines()
    (curl,) = [line for line in lines if line.startswith("curl ")]
    body = json.loads(text[text.index("\n{") : text.index("\n}") + 2])
    token = body["webhook"]["headers"]["Authorization"].removeprefix("Bearer ")
    assert f"  {token}" in lines
    assert token in curl
    assert "WEBHOOK_GLOBAL" not in text
    assert "old token" not in text


def test_the_token_is_not_stored() -> None:
    token = report_of("sales")["token"]
    row = Instance.objects.values().get(name="sales")
    assert len(token) > 40
    assert token not in map(str, row.values())


def test_for_the_server_it_gives_a_global_webhook_that_works(client: Client) -> None:
    report = report_of("gateway", "--server", SERVER, "--for-server")
    variables = report["global"]
    assert variables["WEBHOOK_GLOBAL_ENABLED"] == "true"
    assert deliver(client, variables["WEBHOOK_GLOBAL_URL"]) == 202
    assert deliver(client, variables["WEBHOOK_GLOBAL_URL"] + "/connection-update", {**BODY, "x": 1}) == 202
    assert {row.instance.name for row in WebhookEvent.objects.select_related("instance")} == {"sales"}
    assert Instance.objects.get(name="sales").server_url == SERVER


def test_the_text_has_the_global_webhook_s_variables_for_an_instance_that_speaks_for_its_server() -> None:
    assert "\nWEBHOOK_GLOBAL_ENABLED=true\n" in text_of("gateway", "--for-server")
    assert "\nWEBHOOK_GLOBAL_URL=http" in text_of("gateway"), "a new token keeps what the instance is"
    assert Instance.objects.get().is_global_webhook


def test_the_old_token_stays_good_for_an_hour(client: Client) -> None:
    old = report_of("sales")
    assert old["old_token_until"] is None
    new = report_of("sales")
    assert not new["created"]
    assert new["old_token_until"]
    for report in (old, new):
        assert deliver(client, report["url"], authorization=f"Bearer {report['token']}") == 202
    assert "The old token stays good until" in text_of("sales")


def test_the_old_token_can_be_ended_at_once(client: Client) -> None:
    old = report_of("sales")
    new = report_of("sales", "--revoke-old")
    assert new["old_token_until"] is None
    assert deliver(client, old["url"], authorization=f"Bearer {old['token']}") == 401
    assert deliver(client, new["url"], authorization=f"Bearer {new['token']}") == 202


def test_the_only_instance_of_that_name_needs_no_server() -> None:
    report_of("sales", "--server", SERVER + "/")
    assert report_of("sales")["server"] == SERVER
    assert Instance.objects.count() == 1


def test_of_several_servers_one_must_be_named() -> None:
    for server in (SERVER, "https://other.example.com", "none"):
        report_of("sales", "--server", server)
    with pytest.raises(CommandError, match=f"{SERVER}, https://other.example.com, none$"):
        text_of("sales")
    assert report_of("sales", "--server", "none")["created"] is False


@pytest.mark.parametrize("name", ["", "  ", "a/b", "..", "n" * 256, "a\nb"])
def test_what_no_webhook_url_could_carry_is_no_name(name: str) -> None:
    with pytest.raises(CommandError, match="the instance's name"):
        text_of(name)
    assert not Instance.objects.exists()


@pytest.mark.parametrize("server", ["", "evo.example.com", "ftp://evo.example.com", "https://key@evo.example.com"])
def test_a_server_is_an_http_url(server: str) -> None:
    with pytest.raises(CommandError, match="--server must be"):
        text_of("sales", "--server", server)
    assert not Instance.objects.exists()


def test_a_public_url_that_django_would_refuse_is_warned_of(settings: LazySettings) -> None:
    settings.PUBLIC_URL, settings.ALLOWED_HOSTS = "https://whatsai.example.com", ["127.0.0.1"]
    out, err = StringIO(), StringIO()
    call_command("webhook_token", "sales", "--json", stdout=out, stderr=err)
    assert "'whatsai.example.com'" in err.getvalue()
    assert json.loads(out.getvalue())["url"].startswith("https://whatsai.example.com/")
    settings.ALLOWED_HOSTS = [".example.com"]
    call_command("webhook_token", "sales", stdout=out, stderr=(err := StringIO()))
    assert err.getvalue() == ""
