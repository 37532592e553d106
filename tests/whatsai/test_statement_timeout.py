"""PostgreSQL ends a slow statement of a web request, which is answered 503; other statements have no limit."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def new_connection(settings: Any) -> Iterator[None]:
    """Make the next query open a connection, which has a short limit in a web request; close it after the test."""
    settings.WEB_STATEMENT_SECONDS = 1.0
    yield
    connection.close()


def sleep_instead(run: Any, sql: str, params: Any, many: bool, context: Any) -> Any:  # noqa: FBT001 - Django's signature
    is_read = 'FROM "conversations_' in sql
    return run("SELECT pg_sleep(20)" if is_read else sql, None if is_read else params, many, context)


def test_a_slow_statement_of_a_web_request_is_answered_503() -> None:
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.create_superuser("ana"))
    connection.close()
    with connection.execute_wrapper(sleep_instead):
        answers = [client.get(path) for path in ("/admin/conversations/webhookevent/", "/api/v1/messages/")]
    assert [answer.status_code for answer in answers] == [503, 503]
    detail = "The database needed too long for this request. Ask for less, or ask again later."
    assert detail in answers[0].content.decode()
    assert answers[1].json()["detail"] == detail
    assert client.get("/api/v1/messages/").status_code == 200, "the connection is still good"


def test_a_statement_outside_of_requests_has_no_limit() -> None:
    Client().get("/api/v1/messages/")
    connection.close()
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == ("0",)
