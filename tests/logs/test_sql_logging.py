"""Slow and failing database statements are logged with their SQL and without personal data."""

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


def test_a_failing_statement_is_an_error_with_its_traceback(logged: CapturedLines) -> None:
    with pytest.raises(DatabaseError):
        execute("SELECT * FROM no_such_table WHERE name = %s", ["Mariana Couto"])
    line = logged.one(context="database")
    assert (line["level"], line["database"]) == ("ERROR", "default")
    assert line["sql"] == "SELECT * FROM no_such_table WHERE name = %s"
    assert line["duration_ms"] >= 0
    assert "no_such_table" in line["exc_info"]
    assert "Mariana" not in str(line)


def test_an_integrity_error_is_a_warning_without_the_row(logged: CapturedLines) -> None:
    User.objects.create(username="Mariana Couto")
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create(username="Mariana Couto")
    line = logged.one(context="database")
    assert (line["level"], line["message"]) == ("WARN", "SQL failed: IntegrityError")
    assert "Mariana" not in str(line)


@pytest.mark.postgresql
def test_values_quoted_by_the_database_are_redacted(logged: CapturedLines) -> None:
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


def test_a_slow_statement_is_a_warning(logged: CapturedLines, monkeypatch: pytest.MonkeyPatch) -> None:
    query_logger = next(one for one in connection.execute_wrappers if isinstance(one, SlowQueryLogger))
    monkeypatch.setattr(query_logger, "slow_seconds", 0.0)
    User.objects.filter(username="Mariana").exists()
    line = logged.one(context="database", level="WARN")
    assert line["message"] == "SQL slow"
    assert "auth_user" in line["sql"]
    assert "Mariana" not in str(line)


def test_a_fast_statement_is_not_logged(logged: CapturedLines, monkeypatch: pytest.MonkeyPatch) -> None:
    query_logger = next(one for one in connection.execute_wrappers if isinstance(one, SlowQueryLogger))
    monkeypatch.setattr(query_logger, "slow_seconds", 60.0)
    with CaptureQueriesContext(connection):
        User.objects.filter(username="Mariana").exists()
    assert not logged.matching(context="database")


def test_the_limit_comes_from_the_setting(settings: LazySettings) -> None:
    settings.LOGS_SLOW_SQL_MS = 1500.0
    assert SlowQueryLogger("default").slow_seconds == 1.5


def test_a_connection_gets_one_logger_however_often_it_reconnects() -> None:
    for _ in range(3):
        sql_logging.add_logger(connection)
    assert len([one for one in connection.execute_wrappers if isinstance(one, SlowQueryLogger)]) == 1


def test_a_connection_opened_inside_an_execute_wrapper_keeps_the_logger() -> None:
    fresh = connection.copy()
    try:
        with fresh.execute_wrapper(_refuse):
            fresh.connect()
        assert [type(one) for one in fresh.execute_wrappers] == [SlowQueryLogger]
    finally:
        fresh.close()


def test_an_exception_of_another_wrapper_is_not_logged(logged: CapturedLines) -> None:
    with connection.execute_wrapper(_refuse), pytest.raises(LookupError):
        User.objects.exists()
    assert not logged.matching(context="database")


def _refuse(*_call: object) -> None:
    raise LookupError


def test_a_long_statement_is_truncated(logged: CapturedLines) -> None:
    with pytest.raises(DatabaseError):
        execute("SELECT nothing FROM nowhere" + " " * 5000)
    assert len(logged.one(context="database")["sql"]) == sql_logging.MAX_SQL_CHARS
