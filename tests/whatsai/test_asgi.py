"""The ASGI application serves, also if a server imports it inside an event loop; or it is refused with one line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import valkey
from whatsai.environment import BASE_DIR
from whatsai.worker_count import CANNOT_SERVE, worker_count

pytestmark = pytest.mark.once
PATIENCE = 120.0  # seconds in which a busy machine starts a process

# Imports the application inside an event loop, as uvicorn does with `--reload` and `--workers`, and requests /health/.
SERVE = """
import asyncio, sys

async def main():
    from whatsai.asgi import application
    messages = []
    scope = {"type": "http", "method": "GET", "path": "/health/", "raw_path": b"/health/", "query_string": b"",
             "headers": [(b"host", b"127.0.0.1")], "http_version": "1.1", "scheme": "http", "root_path": ""}
    requests = iter([{"type": "http.request"}])

    async def receive():
        return next(requests, None) or await asyncio.sleep(60)

    async def send(message):
        messages.append(message)

    await application(scope, receive, send)
    print(messages[0]["status"])

asyncio.run(main())
"""


def run(folder: Path, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    environ = os.environ | {
        "DATABASE_URL": f"sqlite:///{folder}/db.sqlite3",
        "LOG_DIR": str(folder / "log"),
        "REDIS_URL": "",
        **variables,
    }
    return subprocess.run(  # noqa: S603 - the command runs a constant program
        [sys.executable, "-c", SERVE, *arguments],
        cwd=BASE_DIR,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )


def test_it_serves_if_it_is_imported_inside_an_event_loop(tmp_path: Path) -> None:
    completed = run(tmp_path, "whatsai.asgi:application", "--reload")
    assert (completed.returncode, completed.stdout) == (0, "200\n"), completed.stderr


def test_several_workers_serve_with_redis(tmp_path: Path) -> None:
    with valkey.running() as server:
        completed = run(tmp_path, "whatsai.asgi:application", "--workers", "2", REDIS_URL=server.url)
    assert (completed.returncode, completed.stdout) == (0, "200\n"), completed.stderr


def test_several_workers_are_refused_without_redis(tmp_path: Path) -> None:
    completed = run(tmp_path, "whatsai.asgi:application", "--workers", "2")
    assert completed.returncode == CANNOT_SERVE
    assert completed.stderr == "configuration error: REDIS_URL: is empty; without Redis, run one worker\n"


def test_a_wrong_setting_is_reported_on_one_line(tmp_path: Path) -> None:
    completed = run(tmp_path, CACHE_PREFIX="a:b")
    assert completed.returncode == CANNOT_SERVE
    (line,) = completed.stderr.splitlines()
    assert line.startswith("configuration error: CACHE_PREFIX: ")


@pytest.mark.parametrize(
    ("command", "environ", "expected"),
    [
        ("uvicorn whatsai.asgi:application", {}, 1),
        ("uvicorn whatsai.asgi:application --workers 4", {}, 4),
        ("uvicorn --workers=4 whatsai.asgi:application", {}, 4),
        ("hypercorn -w 3 whatsai.asgi:application", {}, 3),
        ("hypercorn -w3 whatsai.asgi:application", {}, 3),
        ("uvicorn whatsai.asgi:application", {"WEB_CONCURRENCY": "2"}, 2),
        ("uvicorn whatsai.asgi:application --workers 1", {"WEB_CONCURRENCY": "2"}, 1),
        ("uvicorn whatsai.asgi:application", {"WEB_CONCURRENCY": "many"}, 1),
        ("uvicorn whatsai.asgi:application --workers-of-a-kind 9", {}, 1),
    ],
)
def test_the_number_of_workers_is_read_from_the_command_line(
    command: str, environ: dict[str, str], expected: int
) -> None:
    assert worker_count(command.split(), environ) == expected
