"""Tests that DATABASE_URL and REDIS_URL select the servers, and that `tests.servers` starts and stops them."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
import redis
from django.conf import settings
from django.core.cache import caches  # noqa: TID251 - one test is about Django's cache
from django.db import connection

VENDORS = {"sqlite": "sqlite", "postgres": "postgresql", "postgresql": "postgresql"}
PROCESS_TIMEOUT = 90  # seconds
OWN_SERVERS = {"DATABASE_URL": "sqlite://:memory:", "REDIS_URL": "redis://127.0.0.1:1/0"}

# A program that prints its process id and the URLs of the servers, then exits with the status read from standard input.
COMMAND = """
import json, os, sys
print(json.dumps({"pid": os.getpid()} | {name: os.environ[name] for name in ("DATABASE_URL", "REDIS_URL")}), flush=True)
sys.exit(int(sys.stdin.readline()))
"""


def test_the_database_is_the_one_named_in_the_environment() -> None:
    assert connection.vendor == VENDORS[urlsplit(os.environ["DATABASE_URL"]).scheme]


@pytest.mark.skipif(bool(os.environ.get("REDIS_URL")), reason="REDIS_URL is set")
def test_without_a_redis_url_the_cache_is_in_this_process() -> None:
    assert settings.CACHES["default"]["BACKEND"] == "django.core.cache.backends.locmem.LocMemCache"


@pytest.mark.skipif(not os.environ.get("REDIS_URL"), reason="REDIS_URL is not set")
def test_with_a_redis_url_the_cache_is_that_server() -> None:
    key = "tests:servers"
    caches["default"].set(key, ["a", 1], timeout=60)
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as server:
        assert server.exists(str(caches["default"].make_key(key)))
    assert caches["default"].get(key) == ["a", 1]
    caches["default"].delete(key)


def test_the_exit_status_is_that_of_the_command_and_no_process_is_left() -> None:
    with started() as (process, printed):
        assert running_processes(printed)
        process.communicate("7\n", timeout=PROCESS_TIMEOUT)

    assert process.returncode == 7
    assert not running_processes(printed)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_command_and_no_process_is_left(number: signal.Signals) -> None:
    with started() as (process, printed):
        process.send_signal(number)
        process.wait(PROCESS_TIMEOUT)

    assert process.returncode == 128 + number
    assert not running_processes(printed)


def test_after_ctrl_c_the_command_may_finish() -> None:
    with started() as (process, printed):
        process.send_signal(signal.SIGINT)
        process.communicate("0\n", timeout=PROCESS_TIMEOUT)

    assert process.returncode == 128 + signal.SIGINT
    assert not running_processes(printed)


def test_servers_named_in_the_environment_are_used_and_none_is_started() -> None:
    with started(**OWN_SERVERS) as (process, printed):
        children = psutil.Process(process.pid).children()
        process.communicate("0\n", timeout=PROCESS_TIMEOUT)

    assert [child.pid for child in children] == [printed.pop("pid")]
    assert printed == OWN_SERVERS


def test_a_missing_command_is_a_one_line_error() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "tests.servers", "no-such-command"],
        env=os.environ | OWN_SERVERS,
        capture_output=True,
        text=True,
        timeout=PROCESS_TIMEOUT,
        check=False,
    )

    assert result.returncode == 1
    assert result.stderr == "tests.servers: [Errno 2] No such file or directory: 'no-such-command'\n"


@contextmanager
def started(**variables: str) -> Iterator[tuple["subprocess.Popen[str]", dict[str, Any]]]:
    """Run COMMAND with `python -m tests.servers`; yield the process and the decoded JSON that COMMAND prints."""
    inherited = {name: value for name, value in os.environ.items() if name not in OWN_SERVERS}
    with subprocess.Popen(  # noqa: S603 - the command is constant
        [sys.executable, "-m", "tests.servers", sys.executable, "-c", COMMAND],
        env=inherited | variables,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        yield process, json.loads(process.stdout.readline())


def running_processes(printed: dict[str, Any]) -> list[int]:
    """Return the process ids of COMMAND and of the servers, as far as they are running."""
    urls = [urlsplit(printed[name]) for name in OWN_SERVERS]
    folders = [part for url in urls for part in url.geturl().replace("%2F", "/").split("/") if "whatsai-" in part]
    found = [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if any(folder.split(":")[0] in " ".join(process.info["cmdline"] or []) for folder in folders)
    ]
    return found + [printed["pid"]] * psutil.pid_exists(printed["pid"])
