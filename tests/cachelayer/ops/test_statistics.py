"""Cache counters of several real processes that share a database made for the test."""

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

from cachelayer.models import CounterTotal, Outbox, Owner
from tests import valkey
from tests.waiting import wait_until

pytestmark = [pytest.mark.once, pytest.mark.usefixtures("unblocked_db")]

READS = 10

Process = subprocess.Popen[str]


class Fleet:
    """Starts processes that share one database and, unless `redis_url` is empty, one Redis server."""

    def __init__(self, folder: Path, redis_url: str) -> None:
        path = folder / "db.sqlite3"
        self._connection = ConnectionHandler({"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": path}})[
            "default"
        ]
        with self._connection.schema_editor() as editor:
            for model in (Outbox, CounterTotal, Owner):
                editor.create_model(model)
        self._connection.close()
        variables = {"DATABASE_URL": f"sqlite:///{path}", "LOG_DIR": str(folder)}
        self._environ = os.environ | variables | {"REDIS_URL": redis_url, "CACHE_PREFIX": "fleet"}

    def start_reader(self, key: str) -> Process:
        """Start a process that fetches one cached value `READS` times."""
        command = [sys.executable, "-m", "tests.cachelayer.counting", key, str(READS)]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, env=self._environ, text=True, stdin=pipe, stdout=pipe)  # noqa: S603 - the command runs the project's own code

    def conversation_counts(self) -> dict[str, Any]:
        """Return the counters that `cache_stats` prints for the namespace `conversations`."""
        with self.cache_stats("--json") as process:
            output, _ = process.communicate()
        counts: dict[str, Any] = json.loads(output)["namespaces"]["conversations"]
        return counts

    def cache_stats(self, *options: str) -> Process:
        """Start the command `cache_stats` in a new process."""
        command = [sys.executable, "manage.py", "cache_stats", *options]
        return subprocess.Popen(command, env=self._environ, text=True, stdout=subprocess.PIPE)  # noqa: S603 - the command runs the project's own code

    def has_reported(self) -> bool:
        """Tell whether any process has added its counters to the database."""
        with self._connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM cachelayer_countertotal WHERE namespace = 'conversations'")
            number = cursor.fetchone()[0]
        self._connection.close()
        return bool(number)


def has_read(process: Process) -> bool:
    assert process.stdout is not None
    return process.stdout.readline() == "read\n"


def finish(process: Process) -> None:
    """Close the standard input of a process, which makes the process end; wait until the process has ended."""
    with process:
        process.communicate()
    assert process.returncode == 0


def hits_and_misses(counts: dict[str, Any]) -> tuple[int, int]:
    return counts["local"]["hits"] + counts["shared"]["hits"], counts["shared"]["misses"]


def test_without_redis_the_counters_of_the_server_process_are_visible_to_others(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, redis_url="")
    process = fleet.start_reader("x")
    assert has_read(process)
    wait_until(fleet.has_reported)
    assert hits_and_misses(fleet.conversation_counts()) == (READS - 1, 1)
    finish(process)
    process = fleet.start_reader("x")  # the new process has an empty cache, but adds to the sums in the database
    assert has_read(process)
    finish(process)
    assert hits_and_misses(fleet.conversation_counts()) == (2 * (READS - 1), 2)


def test_with_redis_the_counters_of_all_processes_add_up(tmp_path: Path) -> None:
    with valkey.running() as server:
        fleet = Fleet(tmp_path, server.url)
        processes = [fleet.start_reader(f"{number}") for number in range(2)]
        assert all(has_read(process) for process in processes)
        for process in processes:
            finish(process)
        counts = fleet.conversation_counts()
    assert hits_and_misses(counts) == (2 * (READS - 1), 2)
    assert counts["shared"]["fills"] == 2
    assert counts["hit_rate"] == pytest.approx(0.9)


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Let SIGINT interrupt the test process and its children, even if the tests were started with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_cache_stats_can_be_watched_until_ctrl_c(tmp_path: Path) -> None:
    with Fleet(tmp_path, redis_url="").cache_stats("--watch", "0.01") as process:
        assert process.stdout is not None
        screens = [process.stdout.readline() for _ in range(3)]
        process.send_signal(signal.SIGINT)
        process.stdout.read()
    assert screens == ["\x1b[2J\x1b[HNo counters yet.\n"] * 3
    assert process.returncode == 0
