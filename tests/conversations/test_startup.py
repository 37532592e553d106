"""A worker inside a web process applies events, stops with the process, and starts in a forked process."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from conversations.models import Instance
from tests.conversations.ingest.inboxes import outcomes
from tests.conversations.ingest.processes import run_process
from tests.conversations.webhooks.conftest import event
from tests.database_file import WriteDatabase
from tests.waiting import TIMEOUT, wait_until

FORK = """
import os, sys, threading
import whatsai.wsgi  # starts the threads
from django.db import connections
from conversations import startup
from conversations.ingest import notify
from conversations.ingest.worker import worker
from conversations.ingest.inbox.store import store_body
from conversations.models import Instance, WebhookEvent
from tests.waiting import wait_until
from tests.conversations.webhooks.conftest import event

worker.POLL_SECONDS = 0.1

def store_and_wait(key_id):
    store_body(Instance.objects.get(name="sales"), event(key_id=key_id))
    notify.notify()
    wait_until(lambda: not WebhookEvent.objects.filter(outcome="stored").exists())

store_and_wait("PARENT")
connections.close_all()
parent_stopped, signal_stopped = os.pipe()
lock_acquired, forked = threading.Event(), threading.Event()

def hold_lock_during_fork():
    with notify._local_event._cond:
        lock_acquired.set()
        forked.wait()

threading.Thread(target=hold_lock_during_fork).start()
lock_acquired.wait()
child = os.fork()
forked.set()
if child == 0:
    os.read(parent_stopped, 1)  # the parent's worker has stopped, so only the child's can apply the event
    store_and_wait("CHILD")
    sys.exit(0)
startup.stop()
os.write(signal_stopped, b"x")
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


class Site:
    """A deployment of the project for one test: logs, and an SQLite database with an instance and a webhook token."""

    def __init__(self, folder: Path, token: str) -> None:
        self.folder = folder
        self.environment = os.environ | {
            "DATABASE_URL": f"sqlite:///{folder}/db.sqlite3",
            "REDIS_URL": "",
            "LOG_DIR": str(folder / "log"),
        }
        self.token = token

    def run(self, *command: str) -> str:
        completed = subprocess.run(  # noqa: S603 - the test runs only the project's own command
            [sys.executable, *command], cwd=settings.BASE_DIR, env=self.environment, check=True, capture_output=True
        )
        return completed.stdout.decode()

    def outcomes(self) -> dict[str, int]:
        with closing(sqlite3.connect(self.folder / "db.sqlite3")) as database:
            query = "SELECT outcome, count(*) FROM conversations_webhookevent GROUP BY outcome"
            return dict(database.execute(query).fetchall())

    def log(self) -> str:
        return "".join(file.read_text(encoding="utf-8") for file in (self.folder / "log").glob("webhook*"))


@pytest.fixture
def site(write_database: WriteDatabase, tmp_path: Path) -> Site:
    (printed,) = write_database(tmp_path / "db.sqlite3", ("webhook_token", "sales", "--json"))
    return Site(tmp_path, printed["token"])


class Gunicorn:
    """A Gunicorn server of a test deployment, with the production configuration."""

    def __init__(self, site: Site, *options: str) -> None:
        self._token = site.token
        self._socket = socket.create_server(("127.0.0.1", 0))
        command = [sys.executable, "-m", "gunicorn", "-c", "python:whatsai.gunicorn", "whatsai.wsgi", *options]
        bind = f"--bind=fd://{self._socket.fileno()}"
        self.process = subprocess.Popen(  # noqa: S603 - the test runs only the project's own server
            [*command, bind], cwd=settings.BASE_DIR, env=site.environment, pass_fds=[self._socket.fileno()]
        )

    def stop(self) -> None:
        self._socket.close()
        self.process.terminate()
        self.process.wait(TIMEOUT)

    def post(self, key_id: str) -> int:
        """Post a webhook with a chat message on a new connection; return the status code of the response."""
        with closing(HTTPConnection("127.0.0.1", self._socket.getsockname()[1], timeout=TIMEOUT)) as connection:
            body, headers = json.dumps(event(key_id=key_id)), {"X-Webhook-Token": self._token}
            connection.request("POST", "/webhooks/evolution/sales", body, headers)
            return connection.getresponse().status


@pytest.fixture
def serve(site: Site) -> Iterator[Callable[..., Gunicorn]]:
    running: list[Gunicorn] = []

    def start(*options: str) -> Gunicorn:
        running.append(Gunicorn(site, *options))
        return running[-1]

    yield start
    for server in running:
        server.stop()


@pytest.mark.once
def test_the_server_applies_events_and_finishes_its_batch_after_sigterm(site: Site, serve: Any) -> None:
    server = serve()
    for n in range(30):
        assert server.post(f"M{n}") == 202
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(TIMEOUT) == 0
    assert "Ingest STARTED" in site.log()
    assert "Ingest STOPPED" in site.log()
    assert sum(site.outcomes().values()) == 30
    site.run("manage.py", "ingest", "--drain")
    assert site.outcomes() == {"applied": 30}


@pytest.mark.once
def test_a_restarted_server_process_has_a_worker(site: Site, serve: Any) -> None:
    server = serve("--max-requests=3")
    for n in range(10):
        assert server.post(f"M{n}") == 202
    wait_until(lambda: site.log().count("Ingest STARTED") >= 2)
    assert server.post("M10") == 202
    wait_until(lambda: site.outcomes() == {"applied": 11})


# This test needs PostgreSQL, because SQLite connections cannot be used after a fork.
@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_forked_process_starts_its_own_worker() -> None:
    instance = Instance.objects.create(name="sales")
    with run_process("-c", FORK, INGEST_IN_WEB_PROCESS="true") as parent:
        assert parent.wait(TIMEOUT) == 0
    assert outcomes(instance) == {"applied": 2}


@pytest.mark.once
def test_the_server_applies_no_events_when_ingestion_in_the_web_process_is_off(site: Site, serve: Any) -> None:
    site.environment["INGEST_IN_WEB_PROCESS"] = "false"
    assert serve().post("M0") == 202
    assert site.outcomes() == {"stored": 1}
    site.run("manage.py", "ingest", "--drain")
    assert site.outcomes() == {"applied": 1}
