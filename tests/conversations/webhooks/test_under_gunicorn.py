"""The webhook endpoint works under Gunicorn, with a database file and real network connections."""

import json
import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from time import sleep
from typing import Any

import pytest
from django.conf import settings

from conversations.models import WebhookEvent
from tests.conversations.webhooks.conftest import event
from tests.database_file import WriteDatabase
from tests.effort import effort
from tests.waiting import TIMEOUT

PATH = "/webhooks/evolution/Vendas%20S%C3%A3o%20Paulo"
NAME = "Vendas São Paulo"


class Server:
    """A Gunicorn process with its own database and logs in `directory`, and one instance with a webhook token."""

    def __init__(self, directory: Path, token: str) -> None:
        self.directory = directory
        self.environment = os.environ | {
            "DATABASE_URL": f"sqlite:///{directory}/db.sqlite3",
            "REDIS_URL": "",
            "LOG_DIR": str(directory / "log"),
            "LOG_LEVEL": "DEBUG",
            "HTTPS": "false",
        }
        self.token = token
        # The test binds a free port itself, so that early requests wait until the server accepts connections.
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.process = self._gunicorn()

    def issue_token(self, *arguments: str, name: str = NAME) -> str:
        """Run `manage.py webhook_token` in a process of its own, and return the new token."""
        return str(json.loads(self._manage("webhook_token", name, *arguments, "--json"))["token"])

    def _manage(self, *arguments: str) -> str:
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(  # noqa: S603 - the test runs only the project's own command
            command, cwd=settings.BASE_DIR, env=self.environment, check=True, capture_output=True
        )
        return done.stdout.decode()

    def _gunicorn(self) -> subprocess.Popen[bytes]:
        command = [
            sys.executable,
            "-m",
            "gunicorn",
            "--config=python:whatsai.gunicorn",
            "whatsai.wsgi",
            "--threads=4",
            f"--bind=fd://{self.socket.fileno()}",
        ]
        with (self.directory / "output").open("wb") as output:
            return subprocess.Popen(  # noqa: S603 - the test runs only the project's own command
                command,
                cwd=settings.BASE_DIR,
                env=self.environment,
                pass_fds=[self.socket.fileno()],
                stdout=output,
                stderr=output,
            )

    def stop(self) -> None:
        self.socket.close()
        self.process.terminate()
        self.process.wait(TIMEOUT)

    def post(self, path: str, body: Any, *, token: str = "", **headers: str) -> tuple[int, dict[str, Any]]:
        """Post a request body; return the status and the decoded JSON of the response."""
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            fields["Authorization"] = f"Bearer {token}"
        with closing(self.connection()) as connection:
            connection.request("POST", path, body, fields, encode_chunked="Transfer-Encoding" in fields)
            response = connection.getresponse()
            return response.status, json.loads(response.read())

    def connection(self) -> HTTPConnection:
        return HTTPConnection("127.0.0.1", self.socket.getsockname()[1], timeout=60)

    def stored(self) -> list[tuple[str, str]]:
        """Return the name and the outcome of every stored event, in order of arrival."""
        with closing(sqlite3.connect(self.directory / "db.sqlite3")) as database:
            table = WebhookEvent._meta.db_table  # noqa: SLF001 - Django documents the attribute _meta
            return database.execute(f"SELECT name, outcome FROM {table} ORDER BY id").fetchall()  # noqa: S608 - the name of the table is a constant

    def wait_until_applied(self) -> list[tuple[str, str]]:
        """Wait until the server's worker has applied every event; return the name and outcome of each event."""
        while any(outcome == WebhookEvent.Outcome.STORED for _, outcome in self.stored()):
            assert self.process.poll() is None
            sleep(0.02)
        return self.stored()

    def output(self) -> str:
        """Return the text that the server process has logged and printed."""
        files = [self.directory / "output", *(self.directory / "log").iterdir()]
        return "".join(file.read_text(encoding="utf-8") for file in files)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, write_database: WriteDatabase) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("gunicorn")
    (printed,) = write_database(directory / "db.sqlite3", ("webhook_token", NAME, "--json"))
    running = Server(directory, printed["token"])
    yield running
    running.stop()


def body(key_id: str, **message: Any) -> bytes:
    return json.dumps(event(key_id=key_id, instance=NAME) | message).encode()


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        (PATH, {"Content_Type": "application/vnd.x+json"}),
        (PATH + "/", {}),
        (f"/{PATH}//", {}),
        (f"//{PATH}//messages-upsert", {}),
        (PATH.replace("/", "//") + "/messages-upsert/", {}),
        (PATH, {"Transfer_Encoding": "chunked"}),
    ],
)
def test_every_form_of_a_request_is_stored_and_applied(path: str, headers: dict[str, str], server: Server) -> None:
    before = server.wait_until_applied()
    sent = body(path + str(headers))
    chunks: Any = iter([sent[:10], sent[10:]]) if "Transfer_Encoding" in headers else sent
    status, response = server.post(path, chunks, token=server.token, **headers)
    assert (status, response["status"]) == (202, "stored")
    assert server.wait_until_applied() == [*before, ("messages.upsert", "applied")]


def test_the_event_may_follow_the_token_in_the_url(server: Server) -> None:
    sent = json.dumps({"instance": NAME, "data": json.loads(body("behind"))["data"]}).encode()
    status, response = server.post(f"{PATH}?token={server.token}/messages-upsert", sent)
    assert (status, response["status"], response["event"]) == (202, "stored", "messages.upsert")


@pytest.mark.parametrize("chunked", [False, True])
def test_twenty_megabytes_are_stored(chunked: bool, server: Server) -> None:  # noqa: FBT001 - pytest passes the argument by keyword
    sent = body(f"large {chunked}", padding="x" * 20_000_000)
    headers = {"Transfer_Encoding": "chunked"} if chunked else {}
    status, response = server.post(PATH, iter([sent]) if chunked else sent, token=server.token, **headers)
    assert (status, response["status"]) == (202, "stored")


@pytest.mark.parametrize(
    ("path", "token", "sent", "status"),
    [
        ("/webhooks/evolution/unknown", "right", b"{}", 404),
        (PATH, "wrong", b"{}", 401),
        (PATH, "", b"{}", 401),
        (f"{PATH}?token=wrong/messages-upsert", "", b"{}", 401),
        (PATH, "right", b"not JSON", 400),
        (PATH, "right", b"", 400),
    ],
)
def test_a_rejected_request_is_not_stored(path: str, token: str, sent: bytes, status: int, server: Server) -> None:
    before = server.wait_until_applied()
    got, response = server.post(path, sent, token=server.token if token == "right" else token)
    assert got == status
    assert response.keys() == {"error", "detail"}
    assert server.wait_until_applied() == before


@pytest.mark.parametrize(
    ("length", "sent"),
    [
        (b"Content-Length: 100", b'{"event": "cut'),
        (b"Transfer-Encoding: chunked", b'e\r\n{"event": "cut\r\n'),
        (b"Transfer-Encoding: chunked", b'ff\r\n{"event": "cut'),
        (b"Transfer-Encoding: chunked", b'e\r\n{"event": "cut'),
        (b"Transfer-Encoding: chunked", b"not a length\r\n{}\r\n0\r\n\r\n"),
    ],
)
def test_a_truncated_body_can_be_retried(length: bytes, sent: bytes, server: Server) -> None:
    before = server.wait_until_applied()
    with closing(server.connection()) as connection:
        connection.connect()
        head = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nX-Webhook-Token: {server.token}\r\n".encode()
        connection.sock.sendall(head + length + b"\r\n\r\n" + sent)
        connection.sock.shutdown(socket.SHUT_WR)
        response = HTTPResponse(connection.sock)
        response.begin()
        assert response.status == 408
        assert b"not a length" in sent or json.loads(response.read())["error"] == "incomplete_body"
    assert server.wait_until_applied() == before


def test_a_token_from_another_process_works_as_soon_as_it_is_printed(server: Server) -> None:
    for number in range(effort(1, 5)):
        assert server.post(PATH, body(f"known {number}"), token=server.token)[0] == 202
        server.token = server.issue_token()
        assert server.post(PATH, body(f"new {number}"), token=server.token)[0] == 202
    path = "/webhooks/evolution/of-another-process"
    assert server.post(path, b"{}", token="any")[0] == 404
    token = server.issue_token(name="of-another-process")
    assert server.post(path, json.dumps(event(instance="of-another-process")).encode(), token=token)[0] == 202


def test_a_flood_of_outsiders_leaves_the_logs_short_and_the_sender_in(server: Server) -> None:
    before = len(server.output())
    with closing(server.connection()) as connection:
        for number in range(1000):
            connection.request(
                "POST", f"/webhooks/evolution/{number}-{'n' * 3000}", b"{}", {"X-Webhook-Token": "wrong"}
            )
            response = connection.getresponse()
            response.read()
            assert response.status in (404, 429)
    assert server.post(PATH, body("during a flood"), token=server.token)[0] == 202
    lines = server.output()[before:]
    assert lines.count("Webhook REFUSED") < 200


def test_no_output_of_the_server_contains_a_token(server: Server) -> None:
    for token in (server.token, "wrong-" + server.token):
        for sent in (b"{}", b"not JSON"):
            server.post(f"{PATH}?token={token}", sent)
            server.post(f"{PATH}?token={token}/messages-upsert", sent)
            server.post("/webhooks/evolution/unknown", sent, token=token)
    output = server.output()
    assert "Webhook REFUSED" in output
    assert server.token not in output
