import json
import shlex
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from knox.models import get_token_model

pytestmark = pytest.mark.django_db


def text_of(*arguments: str) -> str:
    out = StringIO()
    call_command("api_token", *arguments, stdout=out)
    return out.getvalue()


def report_of(*arguments: str) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(text_of(*arguments, "--json"))
    return report


def user_of(curl: str) -> Any:
    """Do what the curl line does; return the user whom the API takes the caller for."""
    command, option, header, url = shlex.split(curl)
    assert (command, option) == ("curl", "-H")
    name, value = header.split(": ")
    response = Client().get(url.removeprefix("http://127.0.0.1:8000"), headers={name: value})
    assert response.status_code == 200
    return response.wsgi_request.user


def test_it_makes_a_user_who_can_call_the_api_and_nothing_else() -> None:
    report = report_of("dashboard")
    user = User.objects.get(username="dashboard")
    assert report["created"]
    assert user_of(report["curl"]) == user
    assert not user.has_usable_password()
    assert not user.is_staff
    assert not user.is_superuser


def test_a_user_who_is_there_stays_as_it_is() -> None:
    user = User.objects.create_superuser("admin", password="a password")
    report = report_of("admin")
    user.refresh_from_db()
    assert not report["created"]
    assert user_of(report["curl"]) == user
    assert user.is_staff
    assert user.check_password("a password")


def test_each_call_gives_another_token_and_none_ends() -> None:
    first, second = report_of("dashboard"), report_of("dashboard")
    assert first["token"] != second["token"]
    assert user_of(first["curl"]) == user_of(second["curl"])
    assert [row.expiry for row in get_token_model().objects.all()] == [None, None]


def test_the_text_shows_the_token_and_a_request_that_works() -> None:
    lines = text_of("dashboard").splitlines()
    assert user_of(lines[-1]).username == "dashboard"
    assert f"  {shlex.split(lines[-1])[2].split()[-1]}" in lines


def test_the_token_is_not_stored() -> None:
    token = report_of("dashboard")["token"]
    assert token not in map(str, get_token_model().objects.values_list().get())


@pytest.mark.parametrize("name", ["", " ", "two words", "n" * 151, "a/b"])
def test_what_is_no_user_s_name_is_an_error(name: str) -> None:
    with pytest.raises(CommandError, match="not a user's name"):
        text_of(name)
    assert not User.objects.exists()


def test_an_inactive_user_gets_no_token() -> None:
    User.objects.create_user("gone", is_active=False)
    with pytest.raises(CommandError, match="inactive"):
        text_of("gone")
    assert not get_token_model().objects.exists()
