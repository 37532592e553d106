"""Ingestion recognizes errors of an unavailable database; most tests make a real database raise such an error."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from django.db import DataError, IntegrityError, InterfaceError, OperationalError, connection

from conversations.ingest.errors import is_transient_db_error, traceback_extra
from tests.logs.conftest import throw

pytestmark = pytest.mark.django_db


def error_of(sql: str) -> Exception:
    with pytest.raises(Exception, match=r".") as error, connection.cursor() as cursor:
        cursor.execute(sql)
    return error.value


def test_an_error_of_a_statement_is_not_transient() -> None:
    for error in (error_of("SELECT no_such_function()"), IntegrityError(), DataError(), KeyError("x")):
        assert not is_transient_db_error(error)


def test_a_closed_connection_is_transient() -> None:
    assert is_transient_db_error(InterfaceError("connection already closed"))


def test_a_locked_sqlite_file_is_transient(tmp_path: Path) -> None:
    path = tmp_path / "database"
    with closing(sqlite3.connect(path)) as one, closing(sqlite3.connect(path, timeout=0)) as other:
        one.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError) as cause:
            other.execute("BEGIN IMMEDIATE")
    error = OperationalError("Django's text")
    error.__cause__ = cause.value
    assert is_transient_db_error(error)


@pytest.mark.postgresql
def test_a_statement_that_the_server_cancels_is_transient() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 1")
    assert is_transient_db_error(error_of("SELECT pg_sleep(10)"))


def test_the_logged_traceback_does_not_contain_the_errors_text() -> None:
    with pytest.raises(KeyError) as error:
        throw(KeyError("Bom dia!".upper()))
    (stack,) = traceback_extra(error.value).values()
    assert "in throw" in stack
    assert "BOM DIA!" not in stack
