"""gunicorn, as in production, on a test's database: for what only whole processes can show."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import connection

PATIENCE = 30.0  # seconds


def environment(**variables: str) -> dict[str, str]:
    """The environment of a process on this test's database."""
    if connection.vendor == "postgresql":
        database = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}").geturl()
        variables = {"DATABASE_URL": database, **variables}
    return os.environ | {"LOG_LEVEL": "INFO", "LOG_CONSOLE": "true"} | variables


class Gunicorn:
    """A running server. Requests may be sent at once: they wait until it takes them."""

    def __init__(self, folder: Path, *options: str, **variables: str) -> None:
        self._output = folder / "output"
        self._socket = socket.create_server(("127.0.0.1", 0))
        command = [sys.executable, "-m", "gunicorn", "-c", "python:whatsai.gunicorn", "--log-level", "warning"]
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(  # noqa: S603 - the project's own server
                [*command, *options, f"--bind=fd://{self._socket.fileno()}", "whatsai.wsgi"],
                cwd=settings.BASE_DIR,
                env=environment(**{"LOG_DIR": str(folder / "log"), **variables}),
                pass_fds=[self._socket.fileno()],
                stdout=output,
                stderr=output,
            )

    def connection(self) -> HTTPConnection:
        """Return a connection that is kept alive: always to the same worker."""
        return HTTPConnection("127.0.0.1", self._socket.getsockname()[1], timeout=PATIENCE)

    def get(self, path: str) -> str:
        """GET a path, over a connection of its own."""
        with closing(self.connection()) as connection:
            return ask(connection, "GET", path)

    def said(self) -> str:
        """Return all that it has printed."""
        return self._output.read_text(encoding="utf-8")

    def stop(self) -> int:
        """Stop it as an operator does; return its exit status."""
        self._socket.close()
        self.process.terminate()
        return self.process.wait(PATIENCE)


def ask(connection: HTTPConnection, method: str, path: str, **headers: str) -> str:
    """Send a request and return the body of its answer."""
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    body = answer.read().decode()
    assert answer.status == 200, body
    return body


@contextmanager
def serving(folder: Path, *options: str, **variables: str) -> Iterator[Gunicorn]:
    """Run a server until the block ends."""
    server: Any = Gunicorn(folder, *options, **variables)
    try:
        yield server
    finally:
        server.stop()
