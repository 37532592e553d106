"""Runs gunicorn as in production, but on the test database, for tests of whole server processes."""

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

PATIENCE = 120.0  # seconds to wait for a response or for the end of the server


def environment(**variables: str) -> dict[str, str]:
    """Return environment variables for a process that uses the test database."""
    if connection.vendor == "postgresql":
        database = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}").geturl()
        variables = {"DATABASE_URL": database, **variables}
    return os.environ | {"LOG_LEVEL": "INFO", "LOG_CONSOLE": "true"} | variables


class Gunicorn:
    """A running gunicorn server. Early requests wait for a worker, because the socket is open from the start."""

    def __init__(self, folder: Path, *options: str, **variables: str) -> None:
        self._output = folder / "output"
        self._socket = socket.create_server(("127.0.0.1", 0))
        command = [sys.executable, "-m", "gunicorn", "-c", "python:whatsai.gunicorn", "--log-level", "warning"]
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(  # noqa: S603 - the command starts the project's own server
                [*command, *options, f"--bind=fd://{self._socket.fileno()}", "whatsai.wsgi"],
                cwd=settings.BASE_DIR,
                env=environment(**{"LOG_DIR": str(folder / "log"), **variables}),
                pass_fds=[self._socket.fileno()],
                stdout=output,
                stderr=output,
            )

    @property
    def port(self) -> int:
        """The TCP port of the server."""
        port: int = self._socket.getsockname()[1]
        return port

    def connection(self) -> HTTPConnection:
        """Return an HTTP keep-alive connection, whose requests all reach the same worker."""
        return HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)

    def get(self, path: str) -> str:
        """Send a GET request over a new connection; return the body of the response."""
        with closing(self.connection()) as connection:
            return request(connection, "GET", path)

    def output(self) -> str:
        """Return all that the server has printed so far."""
        return self._output.read_text(encoding="utf-8")

    def stop(self) -> int:
        """Terminate the server; return the exit status of its process."""
        self._socket.close()
        self.process.terminate()
        return self.process.wait(PATIENCE)


def request(connection: HTTPConnection, method: str, path: str, **headers: str) -> str:
    """Send an HTTP request; return the body of the response, whose status must be 200."""
    connection.request(method, path, headers=headers)
    response = connection.getresponse()
    body = response.read().decode()
    assert response.status == 200, body
    return body


@contextmanager
def serving(folder: Path, *options: str, **variables: str) -> Iterator[Gunicorn]:
    """Run a gunicorn server until the `with` block ends."""
    gunicorn = Gunicorn(folder, *options, **variables)
    try:
        yield gunicorn
    finally:
        gunicorn.stop()
