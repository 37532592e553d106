"""A session cookie cannot make a request fail."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "key", [r'"\000\000\000\000\000\000\000\000"', r'"aaaaaaaa\000"', '"', "a", "a" * 5000, "é" * 9]
)
@pytest.mark.parametrize("path", ["/admin/login/", "/api/v1/instances/", "/api/docs/"])
def test_a_session_key_that_does_not_exist_is_ignored(key: str, path: str) -> None:
    answer = Client().get(path, headers={"Cookie": f"sessionid={key}"})
    assert answer.status_code == (401 if "v1" in path else 200)


def test_a_session_is_kept() -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("ana"))
    assert client.get("/admin/").status_code == 200
