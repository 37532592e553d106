import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from cachelayer.runtime import process_lock
from logs import file_lock
from tests.waiting import TIMEOUT, wait_until

# A program that locks a file until standard input has a line or ends.
HOLDER = """
import fcntl, sys
with open(sys.argv[1], "a") as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    print("locked", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator["subprocess.Popen[str]"]:
    """Another process, which owns the cache because it holds the lock file."""
    monkeypatch.setattr(file_lock, "POLL_SECONDS", 0.01)
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - the command runs a constant program
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        yield process
        process.kill()


@pytest.mark.usefixtures("owner")
def test_a_second_process_cannot_own_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(process_lock, "MAX_WAIT", 0.05)
    for _ in range(2):
        with pytest.raises(ImproperlyConfigured, match=r"^REDIS_URL: "):
            process_lock.lock_file(tmp_path / "lock")


def test_a_process_waits_until_the_owner_ends(
    owner: "subprocess.Popen[str]", tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(process_lock.lock_file, tmp_path / "lock")
        wait_until(lambda: "Cache WAITS" in caplog.text)
        assert not future.done()
        owner.communicate("\n")
        future.result(TIMEOUT).close()


@pytest.mark.parametrize(
    ("database", "path"),
    [
        ({"ENGINE": "django.db.backends.sqlite3", "NAME": "/srv/db.sqlite3"}, "/srv/db.sqlite3.cache"),
        ({"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}, "None"),
        ({"ENGINE": "django.db.backends.sqlite3", "NAME": "file:x?mode=memory&cache=shared"}, "None"),
        ({"ENGINE": "django.db.backends.postgresql", "NAME": "inbox", "HOST": "db", "PORT": 5432}, "/cachelayer-"),
    ],
)
def test_each_database_has_a_lock_file_of_its_own(database: dict[str, Any], path: str) -> None:
    assert path in str(process_lock.lock_path(database))
