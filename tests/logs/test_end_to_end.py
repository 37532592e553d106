"""Under Gunicorn, each application error is in the log file of its log context, with the id of the request."""

import base64
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from tests.conversations.webhooks.conftest import event
from tests.database_file import WriteDatabase
from tests.logs.conftest import ROOT, Line, lines
from tests.waiting import wait_until

pytestmark = pytest.mark.once

TIMEOUT = 240  # seconds
WEBHOOK = "/webhooks/evolution/sales"
CONTACTS = "/api/v1/search/contacts/?q=Mariana"
ABORT = "SELECT RAISE(ABORT, 'no')"


class Server:
    """A Gunicorn process with the project's configuration, whose database and logs are in a directory of the test."""

    def __init__(self, directory: Path, **variables: str) -> None:
        self.directory = directory
        self.logs = directory / "log"
        self.environment = os.environ | {
            "DATABASE_URL": f"sqlite:///{directory}/db.sqlite3",
            "REDIS_URL": "",
            "LOG_DIR": str(self.logs),
            "LOG_CONSOLE": "true",
            "MEDIA_DIR": str(directory / "media"),
            **variables,
        }

    def prepare(self, write_database: WriteDatabase) -> None:
        commands = ("webhook_token", "sales", "--json"), ("api_token", "u", "--json")
        webhook, api = write_database(self.directory / "db.sqlite3", *commands)
        self.token, self.api_token = webhook["token"], api["token"]

    def start(self, *arguments: str) -> None:
        # The test opens the listening socket, so that early requests wait until the server accepts connections.
        self.socket = socket.create_server(("127.0.0.1", 0))
        command = [sys.executable, "-m", "gunicorn", "-c", "python:whatsai.gunicorn", *arguments]
        with (self.directory / "output").open("wb") as output:
            self.process = subprocess.Popen(  # noqa: S603 - the test runs only the project's own server
                [*command, f"--bind=fd://{self.socket.fileno()}", "whatsai.wsgi"],
                cwd=ROOT,
                env=self.environment,
                pass_fds=[self.socket.fileno()],
                stdout=output,
                stderr=output,
            )

    def stop(self, number: int = signal.SIGTERM) -> None:
        self.socket.close()
        self.process.send_signal(number)
        self.process.wait(timeout=TIMEOUT)

    def ask(self, method: str, path: str, request_id: str, body: Any = None, **headers: str) -> int:
        """Send a request with `request_id`, check that the response has the same id, and return the status code."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()} | {"X-Request-ID": request_id}
        with closing(HTTPConnection("127.0.0.1", self.socket.getsockname()[1], timeout=TIMEOUT)) as connection:
            connection.request(method, path, None if body is None else json.dumps(body), sent)
            response = connection.getresponse()
            response.read()
            assert response.headers["X-Request-ID"] == request_id
            return response.status

    def sql(self, statement: str) -> list[Any]:
        with closing(sqlite3.connect(self.directory / "db.sqlite3")) as database:
            rows = database.execute(statement).fetchall()
            database.commit()
            return rows

    def waiting(self) -> list[Any]:
        """Return the stored events that no worker has tried to apply yet."""
        return self.sql("SELECT id FROM conversations_webhookevent WHERE outcome = 'stored' AND attempts = 0")

    def lines(self, name: str) -> list[Line]:
        return lines(self.logs, name)

    def one(self, name: str, **wanted: str) -> Line:
        """Return the only line of a log file that has these fields; fail if there are several or none."""
        (line,) = [one for one in self.lines(name) if wanted.items() <= one.items()]
        return line


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, write_database: WriteDatabase) -> Server:
    """Run a server, cause all kinds of errors, and stop the server; return the stopped server with its log files."""
    directory = tmp_path_factory.mktemp("server")
    one = Server(directory, REDIS_URL=f"unix://{directory}/nobody", CACHE_PREFIX="nobody")
    one.prepare(write_database)
    one.start("--log-level=info")
    try:
        cause_all_errors(one)
    finally:
        one.stop()
    return one


def cause_all_errors(one: Server) -> None:
    as_user, as_sales = {"Authorization": f"Token {one.api_token}"}, {"X_Webhook_Token": one.token}
    media = event(key_id="3EB0M", instance="sales")
    media["data"]["message"]["base64"] = base64.b64encode(b"a picture").decode()

    assert one.ask("GET", CONTACTS, "fine", **as_user) == 200
    assert one.ask("POST", f"{WEBHOOK}?token=wrong-{one.token}", "bad-token", {}) == 401
    assert one.ask("POST", WEBHOOK, "unknown-event", {"event": "a.new.one", "data": {}}, **as_sales) == 202
    assert one.ask("POST", WEBHOOK, "good", event(key_id="3EB0G", instance="sales"), **as_sales) == 202
    one.sql(f"CREATE TRIGGER t BEFORE INSERT ON conversations_message WHEN NEW.key_id = '3EB0P' BEGIN {ABORT}; END")
    assert one.ask("POST", WEBHOOK, "poison", event(key_id="3EB0P", instance="sales"), **as_sales) == 202
    wait_until(lambda: not one.waiting())
    shutil.rmtree(one.directory / "media", ignore_errors=True)  # a check at the start may have made it
    (one.directory / "media").write_text("a file in place of the folder")
    assert one.ask("POST", WEBHOOK, "media", media, **as_sales) == 503
    one.sql("DROP TABLE conversations_apitoken")
    assert one.ask("GET", CONTACTS, "broken", **as_user) == 503
    one.sql("DROP TABLE conversations_webhookevent")
    assert one.ask("POST", WEBHOOK, "no-table", event(key_id="3EB0N", instance="sales"), **as_sales) == 503


def test_a_failing_query_is_an_error_of_the_database(server: Server) -> None:
    line = server.one("database-errors.log", request_id="broken")
    assert (line["level"], line["message"]) == ("ERROR", "SQL failed: OperationalError")
    assert "no such table" in line["exc_info"]
    assert 'FROM "conversations_apitoken"' in line["sql"]
    assert "%s" in line["sql"]
    assert "redacted" not in line["sql"]
    assert "Mariana" not in str(line)


def test_an_error_of_the_database_in_a_view_is_an_error_of_the_api(server: Server) -> None:
    line = server.one("api-errors.log", request_id="broken", level="ERROR")
    assert line["message"] == "Service Unavailable: /api/v1/search/contacts/"
    assert "Traceback (most recent call last)" in line["exc_info"]
    assert "conversations/api/" in line["exc_info"]


def test_a_rejected_webhook_is_a_warning(server: Server) -> None:
    line = server.one("webhook-errors.log", request_id="bad-token")
    assert (line["level"], line["instance"]) == ("WARN", "sales")
    assert line["message"].startswith("Webhook REFUSED: 401")


def test_a_webhook_that_cannot_be_stored_is_an_error(server: Server) -> None:
    for request_id, reason in (("no-table", "no such table"), ("media", "NotADirectoryError")):
        line = server.one("webhook-errors.log", request_id=request_id)
        assert (line["level"], line["instance"], line["event"]) == ("ERROR", "sales", "messages.upsert")
        assert reason in line["exc_info"]
    assert "no such table" in server.one("database-errors.log", request_id="no-table")["exc_info"]


def test_media_that_cannot_be_written_is_an_error_of_media(server: Server) -> None:
    line = server.one("media-errors.log")
    assert (line["level"], line["request_id"], line["size"]) == ("ERROR", "media", len(b"a picture"))
    assert "NotADirectoryError" in line["exc_info"]


def test_an_event_that_cannot_be_applied_is_an_error_with_the_id_of_its_request(server: Server) -> None:
    line = server.one("webhook-errors.log", request_id="poison")
    assert (line["level"], line["message"]) == ("ERROR", "Event NOT APPLIED: IntegrityError")
    assert (line["instance"], line["event"], line["thread"]) == ("sales", "messages.upsert", "ingest-worker")
    assert "conversations/ingest/apply/" in line["stack"]
    failed = server.one("database-errors.log", request_id="poison")
    assert 'INSERT INTO "conversations_message"' in failed["sql"]
    assert failed["event_id"] == line["event_id"]


def test_an_unknown_event_is_a_warning_of_evolution(server: Server) -> None:
    line = server.one("evolution-errors.log")
    assert (line["request_id"], line["instance"], line["event"]) == ("unknown-event", "sales", "a.new.one")


def test_an_unreachable_redis_is_an_error_of_the_cache(server: Server) -> None:
    errors = server.lines("cache-errors.log")
    (fatal,) = [line for line in errors if line["level"] == "FATAL"]
    assert fatal["message"].startswith("Cache FATAL: the store cannot be reached")
    assert f"{server.directory}/nobody" in fatal["message"]
    assert any(line["level"] == "WARN" and line["message"].startswith("Cache DEGRADED") for line in errors)


def test_records_of_gunicorn_belong_to_general(server: Server) -> None:
    texts = [line["message"] for line in server.lines("general.log") if line["logger"] == "gunicorn.error"]
    assert any(text.startswith("Starting gunicorn") for text in texts)
    assert any("Shutting down" in text for text in texts)


def test_a_successful_request_is_one_line(server: Server) -> None:
    line = server.one("api.log", request_id="fine")
    assert (line["message"], line["level"]) == ("GET /api/v1/search/contacts/ 200", "INFO")
    assert isinstance(line["user"], int)
    everything = [line for path in server.logs.glob("*.log") for line in server.lines(path.name)]
    assert not [line for line in everything if line.get("request_id") == "good"]


def test_the_console_gets_the_same_lines_as_json(server: Server) -> None:
    error = server.one("api-errors.log", request_id="broken", level="ERROR")

    def shown() -> list[Any]:
        """Return the complete lines; the process writes to the console after the log files, in parts."""
        lines = (server.directory / "output").read_text().rpartition("\n")[0].splitlines()
        return [json.loads(line) for line in lines]

    wait_until(lambda: error in shown())


def test_no_secret_and_no_personal_data_is_written(server: Server) -> None:
    written = "".join(path.read_text() for path in [*server.logs.glob("*.log"), server.directory / "output"])
    assert "request_id" in written
    for secret in (server.token, server.api_token, "Mariana", "Olá", "a picture", event()["data"]["key"]["remoteJid"]):
        assert secret not in written


# --- the end of a process ---------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Server:
    return Server(tmp_path_factory.mktemp("fresh"))


def test_a_recycled_or_terminated_worker_writes_every_line(fresh: Server, write_database: WriteDatabase) -> None:
    fresh.prepare(write_database)
    for number in (signal.SIGTERM, signal.SIGINT):
        fresh.start("--max-requests=10")
        for place in range(15):
            assert fresh.ask("GET", "/api/v1/contacts/", f"{number}-{place}") == 401
        fresh.stop(number)
    answered = [line for line in fresh.lines("api.log") if line["message"] == "GET /api/v1/contacts/ 401"]
    assert [line["request_id"] for line in answered] == [
        f"{number}-{place}" for number in (signal.SIGTERM, signal.SIGINT) for place in range(15)
    ]
    assert len({line["process"] for line in answered}) >= 4


# --- a folder that is not writable ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("command", "before"),
    [
        (["manage.py", "check"], "configuration error: "),
        (["-m", "gunicorn", "-c", "python:whatsai.gunicorn", "whatsai.wsgi"], "Error: "),
    ],
)
def test_an_unwritable_log_folder_is_one_line(command: list[str], before: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    one = Server(tmp_path, LOG_DIR=f"{tmp_path}/file/log")
    done = subprocess.run(  # noqa: S603 - the test runs only the project's own commands
        [sys.executable, *command], cwd=ROOT, env=one.environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.strip() == f"{before}LOG_DIR: cannot write to {tmp_path}/file/log: Not a directory"
