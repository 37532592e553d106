"""The credentials saved in `var/local.json` are valid, do not change, and are replaced for a new database."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from conversations.models import ApiToken, Instance
from whatsai import local_state

pytestmark = pytest.mark.django_db


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "local.json"


def is_accepted(token: str) -> bool:
    answer = APIClient().get("/api/v1/conversations/", headers={"Authorization": f"Token {token}"})
    return answer.status_code == 200


def test_the_first_run_creates_an_administrator_and_a_token(file: Path) -> None:
    state = local_state.ensure_access(file)

    admin = User.objects.get()
    assert (admin.username, admin.is_staff, admin.is_superuser) == ("admin", True, True)
    assert not admin.check_password("")
    password = local_state.create_password()
    assert User.objects.get().check_password(password)
    assert is_accepted(state.token)
    assert state.demo_due


def test_later_runs_keep_them(file: Path) -> None:
    state = local_state.ensure_access(file)
    password = local_state.create_password()

    assert local_state.ensure_access(file) == state
    assert local_state.create_password() == ""
    assert User.objects.get().check_password(password)
    assert (User.objects.count(), ApiToken.objects.count()) == (1, 1)


def test_only_the_owner_can_read_the_file(file: Path) -> None:
    local_state.ensure_access(file)

    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["", "{", "[]", '{"other": 1}'])
def test_an_invalid_file_is_replaced(file: Path, text: str) -> None:
    file.write_text(text)

    assert is_accepted(local_state.ensure_access(file).token)


def test_a_new_database_gets_a_new_token_and_the_demo(file: Path) -> None:
    before = local_state.save(file, replace(local_state.ensure_access(file), demo_due=False))
    User.objects.all().delete()

    after = local_state.ensure_access(file)

    assert after.token != before.token
    assert is_accepted(after.token)
    password = local_state.create_password()
    assert User.objects.get().check_password(password)
    assert after.demo_due


def test_a_password_changed_by_the_user_stays(file: Path) -> None:
    state = local_state.ensure_access(file)
    admin = User.objects.get()
    admin.set_password("their own")
    admin.save()

    assert local_state.ensure_access(file) == state
    assert local_state.create_password() == ""
    assert User.objects.get().check_password("their own")


def test_a_password_that_an_earlier_version_saved_is_removed_from_the_file(file: Path) -> None:
    state = local_state.ensure_access(file)
    file.write_text(json.dumps({"password": "hunter2", "token": state.token, "demo_due": False}))

    assert local_state.ensure_access(file).token == state.token
    assert "hunter2" not in file.read_text()


def test_a_database_with_instances_gets_no_demo(file: Path) -> None:
    Instance.objects.create(name="sales")

    assert not local_state.ensure_access(file).demo_due


def test_an_interrupted_demo_is_still_due(file: Path) -> None:
    local_state.ensure_access(file)
    Instance.objects.create(name="demo")

    assert local_state.ensure_access(file).demo_due


def test_the_secret_key_is_generated_once(tmp_path: Path) -> None:
    key = tmp_path / "secret_key"
    local_state.ensure_secret_key(key)
    state = key.read_text()
    local_state.ensure_secret_key(key)

    assert key.read_text() == state
    assert len(state.strip()) >= 50
    assert key.stat().st_mode & 0o777 == 0o600
