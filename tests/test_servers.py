"""The run is on the stores its environment names, and `python -m tests.servers` starts, hands on and stops them."""

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
from django.core.cache import caches  # noqa: TID251 - what is tested is the cache itself
from django.db import connection

VENDORS = {"sqlite": "sqlite", "postgres": "postgresql", "postgresql": "postgresql"}
PATIENCE = 90  # seconds after which a hung process fails its test

# Says what it was given, then does as it is told on its standard input.
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


def test_the_exit_status_is_the_commands_and_nothing_is_left() -> None:
    with started() as (process, given):
        assert running(given)
        process.communicate("7\n", timeout=PATIENCE)

    assert process.returncode == 7
    assert not running(given)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_command_and_nothing_is_left(number: signal.Signals) -> None:
    with started() as (process, given):
        process.send_signal(number)
        process.wait(PATIENCE)

    assert process.returncode == 128 + number
    assert not running(given)


def test_at_ctrl_c_the_command_may_finish_first() -> None:
    with started() as (process, given):
        process.send_signal(signal.SIGINT)
        process.communicate("0\n", timeout=PATIENCE)

    assert process.returncode == 128 + signal.SIGINT
    assert not running(given)


def test_servers_of_the_user_are_taken_as_they_are() -> None:
    own = {"DATABASE_URL": "sqlite://:memory:", "REDIS_URL": "redis://127.0.0.1:1/0"}
    with started(**own) as (process, given):
        children = psutil.Process(process.pid).children()
        process.communicate("0\n", timeout=PATIENCE)

    assert [child.pid for child in children] == [given.pop("pid")]
    assert given == own


def test_a_command_that_is_not_there_is_one_line() -> None:
    own = {"DATABASE_URL": "sqlite://:memory:", "REDIS_URL": "redis://127.0.0.1:1/0"}
    answer = subprocess.run(
        [sys.executable, "-m", "tests.servers", "no-such-command"],
        env=os.environ | own,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )

    assert answer.returncode == 1
    assert answer.stderr == "tests.servers: [Errno 2] No such file or directory: 'no-such-command'\n"


@contextmanager
def started(**own: str) -> Iterator[tuple["subprocess.Popen[str]", dict[str, Any]]]:
    """Run the command with servers; give it and what it was given once it runs."""
    environ = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")} | own
    with subprocess.Popen(  # noqa: S603 - our own words
        [sys.executable, "-m", "tests.servers", sys.executable, "-c", COMMAND],
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        yield process, json.loads(process.stdout.readline())


def running(given: dict[str, Any]) -> list[int]:
    """The command and every process started in the servers' folders, of those that still run."""
    folders = [urlsplit(given[name]) for name in ("DATABASE_URL", "REDIS_URL")]
    names = [part for url in folders for part in url.geturl().replace("%2F", "/").split("/") if "whatsai-" in part]
    found = [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if any(name.split(":")[0] in " ".join(process.info["cmdline"] or []) for name in names)
    ]
    return found + [given["pid"]] * psutil.pid_exists(given["pid"])
