import json
import re
import shlex
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client

from conversations.models import ApiToken, Instance, Membership

pytestmark = pytest.mark.django_db


def run_command(*arguments: str) -> str:
    out = StringIO()
    call_command("api_token", *arguments, stdout=out)
    return out.getvalue()


def issue_token(*arguments: str) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(run_command(*arguments, "--json"))
    return report


def user_authenticated_by(curl: str) -> Any:
    """Send the request that the printed curl command describes; return the user that the API authenticates."""
    command, option, header, url = shlex.split(curl)
    assert (command, option) == ("curl", "-H")
    name, value = header.split(": ")
    response = Client().get(url.removeprefix("http://127.0.0.1:8000"), headers={name: value})
    assert response.status_code == 200
    return response.wsgi_request.user


def test_a_new_user_can_call_the_api_and_nothing_else() -> None:
    report = issue_token("dashboard")
    user = User.objects.get(username="dashboard")
    assert report["created"]
    assert user_authenticated_by(report["curl"]) == user
    assert not user.has_usable_password()
    assert not user.is_staff
    assert not user.is_superuser


def test_an_existing_user_is_not_changed() -> None:
    user = User.objects.create_superuser("admin", password="a password")
    report = issue_token("admin")
    user.refresh_from_db()
    assert not report["created"]
    assert user_authenticated_by(report["curl"]) == user
    assert user.is_staff
    assert user.check_password("a password")


def test_each_call_issues_another_token_and_tokens_do_not_expire() -> None:
    first, second = issue_token("dashboard"), issue_token("dashboard")
    assert first["token"] != second["token"]
    assert user_authenticated_by(first["curl"]) == user_authenticated_by(second["curl"])
    assert [row.expires_at for row in ApiToken.objects.all()] == [None, None]


def test_the_text_contains_the_token_and_a_working_request() -> None:
    lines = run_command("dashboard").splitlines()
    assert user_authenticated_by(lines[-1]).username == "dashboard"
    assert f"  {shlex.split(lines[-1])[2].split()[-1]}" in lines


def test_the_token_is_not_stored() -> None:
    token = issue_token("dashboard")["token"]
    assert token not in map(str, ApiToken.objects.values_list().get())


@pytest.mark.parametrize("name", ["", " ", "two words", "n" * 151, "a/b"])
def test_an_invalid_user_name_is_an_error(name: str) -> None:
    with pytest.raises(CommandError, match="invalid user name"):
        run_command(name)
    assert not User.objects.exists()


def test_an_inactive_user_gets_no_token() -> None:
    User.objects.create_user("inactive", is_active=False)
    with pytest.raises(CommandError, match="inactive"):
        run_command("inactive")
    assert not ApiToken.objects.exists()


@pytest.mark.parametrize("option", ["--instance", "--only"])
def test_a_name_on_several_servers_needs_the_server(option: str) -> None:
    servers = ("", "https://one.example.com", "https://two.example.com")
    pks = [Instance.objects.create(name="sales", server_url=server).pk for server in servers]
    with pytest.raises(CommandError, match=re.escape(", ".join(["none", *servers[1:]]))):
        run_command("ana", option, "sales")
    for server, pk in zip(("none", "HTTPS://One.Example.com/"), pks, strict=False):
        issue_token("ana", "--instance", "sales", option, "sales", "--server", server)
        given = Membership.objects.filter(user__username="ana").order_by("-pk").values_list("instance", flat=True)
        limit = ApiToken.objects.latest("pk").instance_ids
        assert (given[0], limit) == (pk, [pk] if option == "--only" else None)
    for server, error in (("https://three.example.com", "no instance is named"), ("x", "--server must be")):
        with pytest.raises(CommandError, match=error):
            run_command("ana", option, "sales", "--server", server)
    assert Membership.objects.count() == ApiToken.objects.count() == 2


def test_a_server_without_instances_is_refused() -> None:
    """It was ignored, so the token had no instance although the command seemed to give some."""
    User.objects.create_user("ana")
    with pytest.raises(CommandError, match="--instance or --only"):
        run_command("ana", "--server", "https://evolution.example.com")
    assert not ApiToken.objects.exists()
