"""Statements that take long or fail are said, with what was asked and never with whose data."""

from collections.abc import Iterator

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from logs import sql_logging
from logs.sql_logging import SlowQueryLogger
from logs.testing import CapturedLines, capture

pytestmark = pytest.mark.django_db


@pytest.fixture
def logged() -> Iterator[CapturedLines]:
    with capture() as lines:
        yield lines


def execute(sql: str, params: list[str] | None = None) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql, params)


def test_a_statement_that_fails_is_an_error_with_its_trace(logged: CapturedLines) -> None:
    with pytest.raises(DatabaseError):
        execute("SELECT * FROM no_such_table WHERE name = %s", ["Mariana Couto"])
    line = logged.one(context="database")
    assert (line["level"], line["database"]) == ("ERROR", "default")
    assert line["sql"] == "SELECT * FROM no_such_table WHERE name = %s"
    assert line["duration_ms"] >= 0
    assert "no_such_table" in line["exc_info"]
    assert "Mariana" not in str(line)


def test_a_row_that_is_there_already_is_a_warning_without_the_row(logged: CapturedLines) -> None:
    User.objects.create(username="Mariana Couto")
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create(username="Mariana Couto")
    line = logged.one(context="database")
    assert (line["level"], line["message"]) == ("WARN", "SQL failed: IntegrityError")
    assert "Mariana" not in str(line)


@pytest.mark.postgresql
def test_a_value_that_the_database_quotes_is_not_in_the_line(logged: CapturedLines) -> None:
    for sql in (
        "SELECT %s::int",
        "SELECT %s::jsonb",
        "SELECT * FROM auth_user WHERE id = %s",
        "SELECT 'Mariana' FROM x",
    ):
        with pytest.raises(DatabaseError):
            execute(sql, ["Mariana"] if "%s" in sql else None)
    assert len(logged.matching(context="database")) == 4
    assert not [line for line in logged if "Mariana" in line["exc_info"]]


def test_a_statement_that_takes_long_is_a_warning(logged: CapturedLines, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = next(one for one in connection.execute_wrappers if isinstance(one, SlowQueryLogger))
    monkeypatch.setattr(watch, "slow_seconds", 0.0)
    User.objects.filter(username="Mariana").exists()
    line = logged.one(context="database", level="WARN")
    assert line["message"] == "SQL slow"
    assert "auth_user" in line["sql"]
    assert "Mariana" not in str(line)


def test_any_other_is_not_worth_a_line(logged: CapturedLines, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = next(one for one in connection.execute_wrappers if isinstance(one, SlowQueryLogger))
    monkeypatch.setattr(watch, "slow_seconds", 60.0)
    with CaptureQueriesContext(connection):
        User.objects.filter(username="Mariana").exists()
    assert not logged.matching(context="database")


def test_the_limit_is_a_setting(settings: LazySettings) -> None:
    settings.LOGS_SLOW_SQL_MS = 1500.0
    assert SlowQueryLogger("default").slow_seconds == 1.5


def test_a_connection_is_watched_once_however_often_it_is_made() -> None:
    for _ in range(3):
        sql_logging.add_logger(connection)
    assert len([one for one in connection.execute_wrappers if isinstance(one, SlowQueryLogger)]) == 1


def test_a_connection_that_opens_under_a_wrapper_keeps_no_more_than_ours() -> None:
    fresh = connection.copy()
    try:
        with fresh.execute_wrapper(_refuse):
            fresh.connect()
        assert [type(one) for one in fresh.execute_wrappers] == [SlowQueryLogger]
    finally:
        fresh.close()


def test_what_another_wrapper_refuses_has_not_failed(logged: CapturedLines) -> None:
    with connection.execute_wrapper(_refuse), pytest.raises(LookupError):
        User.objects.exists()
    assert not logged.matching(context="database")


def _refuse(*_call: object) -> None:
    raise LookupError


def test_a_long_statement_is_cut(logged: CapturedLines) -> None:
    with pytest.raises(DatabaseError):
        execute("SELECT nothing FROM nowhere" + " " * 5000)
    assert len(logged.one(context="database")["sql"]) == sql_logging.MAX_SQL_CHARS
