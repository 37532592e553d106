"""Runs gunicorn as in production, on the test's database, for tests of whole processes."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings
from django.db import connection

PATIENCE = 30.0  # seconds


def environment(**variables: str) -> dict[str, str]:
    """Return environment variables for a process that uses the test's database."""
    if connection.vendor == "postgresql":
        database = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}").geturl()
        variables = {"DATABASE_URL": database, **variables}
    return os.environ | {"LOG_LEVEL": "INFO", "LOG_CONSOLE": "true"} | variables


class Gunicorn:
    """A running server. Its socket is open from the start, so early requests wait until a worker accepts them."""

    def __init__(self, folder: Path, *options: str, **variables: str) -> None:
        self._output = folder / "output"
        self._socket = socket.create_server(("127.0.0.1", 0))
        command = [sys.executable, "-m", "gunicorn", "-c", "python:whatsai.gunicorn", "--log-level", "warning"]
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(  # noqa: S603 - runs the project's own server
                [*command, *options, f"--bind=fd://{self._socket.fileno()}", "whatsai.wsgi"],
                cwd=settings.BASE_DIR,
                env=environment(**{"LOG_DIR": str(folder / "log"), **variables}),
                pass_fds=[self._socket.fileno()],
                stdout=output,
                stderr=output,
            )

    def connection(self) -> HTTPConnection:
        """Return a keep-alive connection, which always reaches the same worker."""
        return HTTPConnection("127.0.0.1", self._socket.getsockname()[1], timeout=PATIENCE)

    def get(self, path: str) -> str:
        """GET a path over a new connection; return the body."""
        with closing(self.connection()) as connection:
            return request(connection, "GET", path)

    def output(self) -> str:
        """Return everything that the server has printed so far."""
        return self._output.read_text(encoding="utf-8")

    def stop(self) -> int:
        """Terminate the server; return its exit status."""
        self._socket.close()
        self.process.terminate()
        return self.process.wait(PATIENCE)


def request(connection: HTTPConnection, method: str, path: str, **headers: str) -> str:
    """Send a request; return the body of the response, whose status must be 200."""
    connection.request(method, path, headers=headers)
    response = connection.getresponse()
    body = response.read().decode()
    assert response.status == 200, body
    return body


@contextmanager
def serving(folder: Path, *options: str, **variables: str) -> Iterator[Gunicorn]:
    """Run a server until the block ends."""
    gunicorn = Gunicorn(folder, *options, **variables)
    try:
        yield gunicorn
    finally:
        gunicorn.stop()
