"""What several processes have counted, as another one sees it: real ones, with a database of the test's own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db.utils import ConnectionHandler

from cachelayer.models import CounterTotal, Outbox
from tests import valkey
from tests.cachelayer.conftest import wait_until

pytestmark = pytest.mark.usefixtures("unblocked_db")

READS = 10

Process = subprocess.Popen[str]


class Fleet:
    """Processes with one database, and one server if there is one."""

    def __init__(self, folder: Path, redis_url: str) -> None:
        path = folder / "db.sqlite3"
        self._connection = ConnectionHandler({"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": path}})[
            "default"
        ]
        with self._connection.schema_editor() as editor:
            for model in (Outbox, CounterTotal):
                editor.create_model(model)
        self._connection.close()
        here = {"DATABASE_URL": f"sqlite:///{path}", "LOG_DIR": str(folder)}
        self._environ = os.environ | here | {"REDIS_URL": redis_url, "CACHE_PREFIX": "fleet"}

    def serve(self, key: str) -> Process:
        """Start a process that reads a value so many times."""
        command = [sys.executable, "-m", "tests.cachelayer.counting", key, str(READS)]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, env=self._environ, text=True, stdin=pipe, stdout=pipe)  # noqa: S603 - our own

    def shown(self) -> dict[str, Any]:
        """What `cache_stats` says of the conversations."""
        with self.cache_stats("--json") as process:
            said, _ = process.communicate()
        found: dict[str, Any] = json.loads(said)["namespaces"]["conversations"]
        return found

    def cache_stats(self, *options: str) -> Process:
        """Start the command."""
        command = [sys.executable, "manage.py", "cache_stats", *options]
        return subprocess.Popen(command, env=self._environ, text=True, stdout=subprocess.PIPE)  # noqa: S603 - our own

    def has_reported(self) -> bool:
        """Whether the counts of a process that goes on have come in."""
        with self._connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM cachelayer_countertotal WHERE namespace = 'conversations'")
            found = cursor.fetchone()[0]
        self._connection.close()
        return bool(found)


def has_read(process: Process) -> bool:
    assert process.stdout is not None
    return process.stdout.readline() == "read\n"


def let_go(process: Process) -> None:
    with process:
        process.communicate()
    assert process.returncode == 0


def hits_and_misses(found: dict[str, Any]) -> tuple[int, int]:
    return found["local"]["hits"] + found["shared"]["hits"], found["shared"]["misses"]


def test_without_a_server_others_see_what_the_process_that_serves_has_counted(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, redis_url="")
    process = fleet.serve("x")
    assert has_read(process)
    wait_until(fleet.has_reported)
    assert hits_and_misses(fleet.shown()) == (READS - 1, 1)
    let_go(process)
    process = fleet.serve("x")  # whose cache is empty; the sums go on
    assert has_read(process)
    let_go(process)
    assert hits_and_misses(fleet.shown()) == (2 * (READS - 1), 2)


def test_with_a_server_the_counts_of_all_processes_add_up(tmp_path: Path) -> None:
    with valkey.running() as valkey_server:
        fleet = Fleet(tmp_path, valkey_server.url)
        processes = [fleet.serve(f"{number}") for number in range(2)]
        assert all(has_read(process) for process in processes)
        for process in processes:
            let_go(process)
        found = fleet.shown()
    assert hits_and_misses(found) == (2 * (READS - 1), 2)
    assert found["shared"]["fills"] == 2
    assert found["hit_rate"] == pytest.approx(0.9)


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Let Ctrl-C be what it is at a terminal, for children too: whoever started this run may ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_the_figures_can_be_watched_until_ctrl_c(tmp_path: Path) -> None:
    with Fleet(tmp_path, redis_url="").cache_stats("--watch", "0.01") as process:
        assert process.stdout is not None
        screens = [process.stdout.readline() for _ in range(3)]
        process.send_signal(signal.SIGINT)
        process.stdout.read()
    assert screens == ["\x1b[2J\x1b[HNothing has been counted yet.\n"] * 3
    assert process.returncode == 0
