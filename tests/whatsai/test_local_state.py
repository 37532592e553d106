"""What `make run` keeps opens the site, stays the same, and is made again on another database."""

from dataclasses import replace
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from knox.models import AuthToken
from rest_framework.test import APIClient

from conversations.models import Instance
from whatsai import local_state

pytestmark = pytest.mark.django_db


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "local.json"


def opens(token: str) -> bool:
    answer = APIClient().get("/api/v1/conversations/", headers={"Authorization": f"Token {token}"})
    return answer.status_code == 200


def test_the_first_time_an_administrator_and_a_token_are_made(file: Path) -> None:
    made = local_state.ensure_access(file)

    admin = User.objects.get()
    assert (admin.username, admin.is_staff, admin.is_superuser) == ("admin", True, True)
    assert admin.check_password(made.password)
    assert opens(made.token)
    assert made.demo_due


def test_later_they_are_the_same(file: Path) -> None:
    made = local_state.ensure_access(file)

    assert local_state.ensure_access(file) == made
    assert (User.objects.count(), AuthToken.objects.count()) == (1, 1)


def test_nobody_else_can_read_the_file(file: Path) -> None:
    local_state.ensure_access(file)

    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["", "{", "[]", '{"other": 1}'])
def test_a_file_that_makes_no_sense_is_made_again(file: Path, text: str) -> None:
    file.write_text(text)

    assert opens(local_state.ensure_access(file).token)


def test_on_a_new_database_they_are_made_again_and_so_is_the_demo(file: Path) -> None:
    before = local_state.save(file, replace(local_state.ensure_access(file), demo_due=False))
    User.objects.all().delete()

    after = local_state.ensure_access(file)

    assert after.password == before.password
    assert User.objects.get().check_password(after.password)
    assert opens(after.token)
    assert after.demo_due


def test_a_password_that_somebody_changed_stays_and_is_not_shown(file: Path) -> None:
    made = local_state.ensure_access(file)
    admin = User.objects.get()
    admin.set_password("their own")
    admin.save()

    assert local_state.ensure_access(file) == replace(made, password="")
    admin.refresh_from_db()
    assert admin.check_password("their own")


def test_a_database_with_instances_of_its_own_gets_no_demo(file: Path) -> None:
    Instance.objects.create(name="sales")

    assert not local_state.ensure_access(file).demo_due


def test_a_demo_that_was_interrupted_is_still_due(file: Path) -> None:
    local_state.ensure_access(file)
    Instance.objects.create(name="demo")

    assert local_state.ensure_access(file).demo_due


def test_the_secret_key_is_made_once(tmp_path: Path) -> None:
    key = tmp_path / "secret_key"
    local_state.ensure_secret_key(key)
    made = key.read_text()
    local_state.ensure_secret_key(key)

    assert key.read_text() == made
    assert len(made.strip()) >= 50
    assert key.stat().st_mode & 0o777 == 0o600
