"""Whose fault an error is: told by errors that databases have really raised."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from django.db import DataError, IntegrityError, InterfaceError, OperationalError, connection

from conversations.ingest.errors import is_transient_db_error, traceback_extra
from tests.logs.conftest import throw

pytestmark = pytest.mark.django_db


def raised(sql: str) -> Exception:
    with pytest.raises(Exception, match=r".") as error, connection.cursor() as cursor:
        cursor.execute(sql)
    return error.value


def test_a_wrong_statement_is_not_the_databases_fault() -> None:
    for error in (raised("SELECT no_such_function()"), IntegrityError(), DataError(), KeyError("x")):
        assert not is_transient_db_error(error)


def test_a_connection_that_is_gone_is() -> None:
    assert is_transient_db_error(InterfaceError("connection already closed"))


def test_a_file_that_others_write_to_is(tmp_path: Path) -> None:
    path = tmp_path / "database"
    with closing(sqlite3.connect(path)) as one, closing(sqlite3.connect(path, timeout=0)) as other:
        one.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError) as cause:
            other.execute("BEGIN IMMEDIATE")
    error = OperationalError("as Django says it")
    error.__cause__ = cause.value
    assert is_transient_db_error(error)


@pytest.mark.postgresql
def test_a_server_that_cancels_or_is_read_only_is() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 1")
    assert is_transient_db_error(raised("SELECT pg_sleep(10)"))


def test_where_it_was_is_told_and_not_what_it_says() -> None:
    with pytest.raises(KeyError) as error:
        throw(KeyError("Bom dia!".upper()))
    (stack,) = traceback_extra(error.value).values()
    assert "in throw" in stack
    assert "BOM DIA!" not in stack
