"""A database server that was restarted, or has recovered from a crash, makes the cache read everything again."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.db import Error, connection, connections

from cachelayer.runtime import database_identity
from cachelayer.runtime.database_identity import read_identity
from cachelayer.runtime.runtime import CacheRuntime
from conversations.models import Contact, Instance
from tests.cachelayer.threads import in_another_thread
from tests.conversations.rows import a_contact, an_instance
from tests.devstack import folders
from tests.devstack import process as program
from tests.devstack import servers as programs
from tests.waiting import wait_until


# --- the identity of a server -----------------------------------------------------------------------------------------
class Postgres:
    """A PostgreSQL server of its own, which a test can crash."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server, _ = programs.postgresql(folder, folder, programs.EPHEMERAL)
        self.start()

    def start(self) -> None:
        self._process = program.start(self._server)
        program.wait_until_ready(self._server, self._process)

    def stop(self) -> None:
        program.stop(self._process, self._server.stop_signal)

    def crash(self) -> None:
        """Kill all processes of the server, as a power failure does."""
        postmaster = psutil.Process(self._process.pid)
        for process in (postmaster, *postmaster.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()
        (self._folder / "data" / "postmaster.pid").unlink()

    def crash_backend(self) -> None:
        """Kill the process of one connection; the server ends all connections, recovers, and goes on."""
        with connections["crashing"].cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            os.kill(cursor.fetchone()[0], signal.SIGKILL)

    def identity(self) -> str:
        """Return the identity that a new connection finds, as soon as the server answers."""
        found: list[str] = []

        def read() -> bool:
            connections["crashing"].close()
            with suppress(Error):
                connections["crashing"].ensure_connection()
                found.append(read_identity(connections["crashing"]))
            return any(found)

        wait_until(read)
        return found[-1]


@pytest.fixture
def server(unblocked_db: None) -> Iterator[Postgres]:  # noqa: ARG001 - the tests use a database of their own
    with folders.short_tempdir() as folder:
        server = Postgres(folder)
        connections.settings["crashing"] = {
            **connections.settings["default"],
            "ENGINE": "django.db.backends.postgresql",
            "HOST": str(folder),
            "PORT": "5432",
            "OPTIONS": {},
            "NAME": programs.DATABASE,
            "USER": "postgres",
            "PASSWORD": "",
        }
        yield server
        connections["crashing"].close()
        del connections["crashing"], connections.settings["crashing"]
        server.stop()


@pytest.mark.once
def test_the_identity_changes_only_when_the_server_has_restarted_or_recovered(server: Postgres) -> None:
    identities = [server.identity()]
    assert identities[0]
    assert server.identity() == identities[0]
    with connections["crashing"].cursor() as cursor:
        cursor.execute("CHECKPOINT")
    assert server.identity() == identities[0]
    server.crash_backend()
    wait_until(lambda: server.identity() != identities[0])  # the server notices the crash after a moment
    identities.append(server.identity())
    server.crash()
    server.start()
    identities.append(server.identity())
    server.stop()
    server.start()
    identities.append(server.identity())
    assert len(set(identities)) == len(identities)


@pytest.mark.once
def test_a_user_without_privileges_can_read_the_identity(server: Postgres) -> None:
    identity = server.identity()
    with connections["crashing"].cursor() as cursor:
        cursor.execute("CREATE ROLE ana LOGIN")
    connections["crashing"].close()
    connections.settings["crashing"]["USER"] = "ana"
    assert server.identity() == identity


@pytest.mark.once
def test_sqlite_has_no_identity() -> None:
    assert read_identity(connection) == ""


# --- what the cache does ----------------------------------------------------------------------------------------------
@contextmanager
def restarted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let new connections find another identity, as after a restart of the database."""
    with monkeypatch.context() as patch:
        patch.setattr(database_identity, "IDENTITY", "SELECT 'restarted'")
        yield


def connect() -> None:
    in_another_thread(lambda: connection.ensure_connection())  # noqa: PLW0108 - each thread has a connection of its own


def names(row: Contact) -> set[str]:
    """Return the names of a contact in the local cache, in the store, and in a cached list."""
    return {
        *(Contact.objects.fetch(row.pk, fresh=fresh).name for fresh in (False, True)),
        *(listed.name for listed in Contact.objects.for_instance(row.instance_id).rows),
    }


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_rows_whose_last_commit_was_lost_are_read_again(
    cache_runtime: CacheRuntime, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    row: Any = a_contact(an_instance(), name="lost")
    connect()
    assert names(row) == {"lost"}
    with connection.cursor() as cursor:  # the database no longer has the commit that named the contact "lost"
        cursor.execute("UPDATE conversations_contact SET name = 'kept' WHERE id = %s", [row.pk])
    connect()
    assert names(row) == {"lost"}, "a new connection to the same server invalidates nothing"
    with restarted(monkeypatch):
        connect()
        assert names(row) == {"kept"}
        assert "Cache database REPLACED" in caplog.text
        assert cache_runtime.counters.snapshot([])["events", "", "database restarts"] == 1
        Instance.objects.fetch(row.instance_id)
        connect()
    assert cache_runtime.counters.snapshot([])["events", "", "database restarts"] == 1


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_process_learns_from_the_store_that_the_database_was_restarted_before_it_started(
    cache_runtime: CacheRuntime,
) -> None:
    cache_runtime.store.note_database("before", "")
    assert cache_runtime.store.note_database("after", "")
    assert not cache_runtime.store.note_database("after", "before"), "another process has noticed it already"
