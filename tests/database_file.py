"""Writes the migrated database of the tests to an SQLite file, for server processes that need a database of their own.

A copy takes milliseconds; `manage.py migrate` takes seconds. So do the commands that create tokens, which run here in
the process of the test.
"""

import io
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection

from conversations.models import Instance

WriteDatabase = Callable[..., list[Any]]


@pytest.fixture(scope="session")
def write_database(django_db_setup: None, django_db_blocker: Any) -> WriteDatabase:  # noqa: ARG001 - the fixture django_db_setup creates the database if a test needs it
    """Return a function that writes a database file."""

    def write(file: Path, *commands: tuple[str, ...]) -> list[Any]:
        """Write a database file, with the rows that management commands create.

        Args:
            file: the file to create.
            commands: names of commands with their arguments; each command prints JSON.

        Returns:
            The printed JSON of each command.
        """
        with django_db_blocker.unblock():
            if not connection.introspection.table_names():  # because no collected test needs the database
                call_command("migrate", verbosity=0)
            printed = [_run(*command) for command in commands]
            with closing(sqlite3.connect(file)) as target:
                connection.ensure_connection()
                connection.connection.backup(target)
            for model in (Instance, User):
                model._default_manager.all().delete()  # noqa: SLF001 - Django documents _default_manager
        return printed

    return write


def _run(*command: str) -> Any:
    output = io.StringIO()
    call_command(*command, stdout=output)
    return json.loads(output.getvalue())
