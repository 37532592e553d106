"""The migration takes over the tokens of django-rest-knox, and the access of existing users."""

import importlib
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.db import connection
from rest_framework.test import APIClient

from conversations.models import ApiToken, Membership
from conversations.models.access import token_digest
from tests.conversations.rows import an_instance

pytestmark = pytest.mark.django_db
migration = importlib.import_module("conversations.migrations.0011_access")
OLD_TOKEN = "ab" * 32


def take_over() -> None:
    with connection.schema_editor(atomic=False) if connection.vendor == "postgresql" else _editor() as editor:
        migration.take_over(apps, editor)


class _editor:  # noqa: N801 - SQLite's schema editor refuses to work inside the transaction of a test
    def __enter__(self) -> SimpleNamespace:
        return SimpleNamespace(connection=connection, execute=lambda sql: connection.cursor().execute(sql))

    def __exit__(self, *_error: object) -> None:
        pass


def test_old_tokens_stay_valid_and_their_users_keep_their_access() -> None:
    instance, user = an_instance(), User.objects.create_user("ana")
    staff, other = User.objects.create_user("bia", is_staff=True), User.objects.create_user("no token")
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE knox_authtoken (digest varchar(128) PRIMARY KEY, token_key varchar(25), created timestamp,"
            " expiry timestamp NULL, user_id integer)"
        )
        cursor.execute(
            "INSERT INTO knox_authtoken VALUES (%s, %s, '2026-01-02 03:04:05', NULL, %s)",
            [token_digest(OLD_TOKEN), OLD_TOKEN[:8], user.pk],
        )
    take_over()
    row = ApiToken.objects.get()
    assert (row.user, row.hint, row.created_at.isoformat()) == (user, "abababab", "2026-01-02T03:04:05+00:00")
    roles = Membership.objects.values_list("user__username", "instance", "role")
    assert sorted(roles) == [("ana", instance.pk, "agent"), ("bia", instance.pk, "agent")]
    assert not Membership.objects.filter(user=other).exists()
    assert Membership.objects.filter(user=staff).exists()
    client = APIClient(headers={"Authorization": f"Token {OLD_TOKEN}"})
    assert [found["id"] for found in client.get("/api/v1/instances/").json()["results"]] == [instance.pk]
    assert "knox_authtoken" not in connection.introspection.table_names()


def test_a_new_database_has_nothing_to_take_over() -> None:
    take_over()
    assert not ApiToken.objects.exists()
