"""Runs a release, a web process and a worker, on a database that several releases share."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from django.db import connection, connections

from tests.cachelayer.gunicorn import Gunicorn
from tests.conversations.ingest.bodies import text
from tests.waiting import TIMEOUT, wait_until

TODAY: dict[str, str] = {}
NEXT = {"DJANGO_SETTINGS_MODULE": "tests.upgrades.next_release.settings"}

# Creates a user and an instance, and prints their keys as JSON.
SET_UP = """
import json
from django.contrib.auth.models import User
from django.test import Client
from conversations.models import ApiToken, Instance
user, browser = User.objects.create_superuser("root"), Client()
browser.force_login(user)
instance, _ = Instance.objects.upsert("sales")
print(json.dumps({
    "webhook": Instance.objects.issue_token(instance.pk),
    "api": ApiToken.objects.issue(user)[1],
    "session": browser.cookies["sessionid"].value,
}))
"""


@contextmanager
def copy_of_database() -> Iterator[str]:
    """Copy the database of the tests until the block ends; yield the URL of the copy."""
    original = connection.settings_dict["NAME"]
    server, copy = os.environ["DATABASE_URL"], f"{original}_upgrade"
    connections.close_all()
    with psycopg.connect(server, autocommit=True) as administrator:

        def copies() -> bool:
            try:
                administrator.execute(f'CREATE DATABASE "{copy}" TEMPLATE "{original}"')
            except psycopg.errors.ObjectInUse:  # a connection of an earlier test is just being closed
                return False
            return True

        wait_until(copies)
        try:
            yield f"{server.rpartition('/')[0]}/{copy}{server.partition('?')[1]}{server.partition('?')[2]}"
        finally:
            administrator.execute(f'DROP DATABASE "{copy}" WITH (FORCE)')


def manage(variables: Mapping[str, str], *arguments: str) -> str:
    """Run a management command of a release; return what it prints."""
    command = [sys.executable, "manage.py", *arguments]
    done = subprocess.run(  # noqa: S603 - a command of the project
        command,
        cwd=settings.BASE_DIR,
        env=os.environ | variables,
        check=False,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@dataclass
class Site:
    """A running release, and the keys to it."""

    web: Gunicorn
    worker: "subprocess.Popen[bytes]"
    keys: Mapping[str, str]

    def post(self, key_id: str, jid: str) -> int:
        """Post a text message as Evolution does; return the status of the answer."""
        body = text(key_id, jid, body=key_id) | {"instance": "sales"}
        headers = {"Authorization": f"Bearer {self.keys['webhook']}", "Content-Type": "application/json"}
        return self._ask("POST", "/webhooks/evolution/sales", headers, body)[0]

    def api(self, path: str, method: str = "GET", body: Any = None) -> Any:
        """Ask the API, which must answer 200."""
        headers = {"Authorization": f"Token {self.keys['api']}", "Content-Type": "application/json"}
        status, content = self._ask(method, f"/api/v1/{path}", headers, body)
        assert status == 200, (path, content)
        return json.loads(content)

    def admin(self, path: str) -> int:
        """Open a page of the admin; return the status of the answer."""
        return self._ask("GET", f"/admin/{path}", {"Cookie": f"sessionid={self.keys['session']}"})[0]

    def _ask(self, method: str, path: str, headers: Mapping[str, str], body: Any = None) -> tuple[int, bytes]:
        with closing(self.web.connection()) as client:
            client.request(method, path, None if body is None else json.dumps(body), dict(headers))
            response = client.getresponse()
            return response.status, response.read()


@contextmanager
def running(folder: Path, keys: Mapping[str, str], variables: Mapping[str, str]) -> Iterator[Site]:
    """Run a web process and a worker of a release until the block ends; both must stop by themselves."""
    folder.mkdir()
    web = Gunicorn(folder, **variables)
    worker = subprocess.Popen(
        [sys.executable, "manage.py", "ingest"], cwd=settings.BASE_DIR, env=os.environ | variables
    )
    try:
        web.get("/healthz")
        yield Site(web, worker, keys)
    finally:
        worker.send_signal(signal.SIGTERM)
        statuses = web.stop(), worker.wait(TIMEOUT)
    assert statuses == (0, 0)
