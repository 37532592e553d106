"""Tokens show when they were last used, accurate to the hour; requests do not wait for that."""

import datetime as dt

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from conversations.access import use
from conversations.access.reading import load_bearer
from conversations.models import ApiToken

pytestmark = pytest.mark.django_db


@pytest.fixture
def token() -> str:
    use.flush()
    return ApiToken.objects.issue(User.objects.create_user("ana"))[1]


def test_the_use_of_a_token_is_written_by_a_flush(token: str) -> None:
    with CaptureQueriesContext(connection) as queries:
        load_bearer(token)
    assert not [query for query in queries if not query["sql"].startswith("SELECT")]
    assert ApiToken.objects.get().last_used_at is None
    before = timezone.now()
    load_bearer(token)
    use.flush()
    assert before <= ApiToken.objects.get().last_used_at <= timezone.now()  # type: ignore[operator]  # mypy ignores the assertion


@pytest.mark.parametrize(("age", "is_written"), [(dt.timedelta(minutes=59), False), (dt.timedelta(minutes=61), True)])
def test_a_use_within_the_hour_is_not_written(token: str, age: dt.timedelta, is_written: bool) -> None:  # noqa: FBT001 - a parameter of the test
    at = timezone.now() - age
    ApiToken.objects.update(last_used_at=at)
    load_bearer(token)
    use.flush()
    assert (ApiToken.objects.get().last_used_at != at) is is_written


def test_what_is_no_use_is_not_noted(token: str) -> None:
    load_bearer("wai_unknown")
    ApiToken.objects.get().revoke()
    load_bearer(token)
    use.flush()
    assert ApiToken.objects.get().last_used_at is None


def test_a_token_that_is_deleted_meanwhile_is_forgotten(token: str) -> None:
    load_bearer(token)
    ApiToken.objects.all().delete()
    use.flush()
