"""Runs a server of docs/deploy/ until a block ends, and waits until it answers."""

import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

TIMEOUT = 120  # seconds after which a test fails because a process hangs
PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # finds `python` and `gunicorn` of these tests


@contextmanager
def running(
    command: Sequence[str], folder: Path, variables: Mapping[str, str], **options: object
) -> Iterator["subprocess.Popen[str]"]:
    """Run a command in a folder until the block ends, with these environment variables alone; SIGTERM ends it."""
    with (folder / "output").open("a") as output:
        process = subprocess.Popen(  # type: ignore[call-overload]  # further options of Popen
            command, cwd=folder, env={"PATH": PATH, **variables}, stdout=output, stderr=output, text=True, **options
        )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(TIMEOUT)


def run(command: Sequence[str], folder: Path, variables: Mapping[str, str]) -> None:
    """Run a command to its end; it must succeed."""
    subprocess.run(command, cwd=folder, env={"PATH": PATH, **variables}, timeout=TIMEOUT, check=True)


def free_port() -> int:
    """Return a port of this machine that nobody uses now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def wait_for(url: str, process: "subprocess.Popen[str]") -> bytes:
    """Return the answer of a server as soon as it answers 200."""
    end = monotonic() + TIMEOUT
    while monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:  # noqa: S310 - an http URL of this machine
                return bytes(answer.read())
        except (OSError, urllib.error.URLError):
            sleep(0.1)
    raise AssertionError(f"{url} does not answer; exit status {process.poll()}")
