"""Runs `make stack` with all its programs: kills programs, and checks that they are restarted."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.devstack.supervisor import COMMAND_PIPE, STATE_FILE
from tests.waiting import wait_until
from whatsai import environment

pytestmark = pytest.mark.postgresql  # only in the PostgreSQL run: the tests start their own servers
TIMEOUT = 120  # seconds after which a test with a hung process fails


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create a folder to which the unprivileged user that runs PostgreSQL has access."""
    path = tmp_path_factory.mktemp("stack")
    for parent in (path, *path.parents):
        if parent.owner() == path.owner() and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o011)
    return path


class Stack:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        command = [sys.executable, "-m", "tests.devstack", "--port", "0", "--no-demo", "--folder", str(folder)]
        self.process = subprocess.Popen(
            [*command, "--web", "2", "--threads", "2", "--workers", "1"],
            cwd=environment.BASE_DIR,
            env={"PATH": os.environ["PATH"]},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        self.welcome = ""
        while not self.welcome.endswith(f"the data stay in {folder}.\n"):
            line = self.process.stdout.readline()
            assert line, self.welcome
            self.welcome += line

    def stop(self, number: int) -> int:
        """Send a POSIX signal to `make stack`; return its exit status."""
        assert self.process.stdout
        self.process.send_signal(number)
        with self.process.stdout:
            return self.process.wait(TIMEOUT)

    @property
    def pids(self) -> dict[str, int]:
        return dict(json.loads((self.folder / STATE_FILE).read_text()))

    def send_command(self, text: str) -> None:
        with (self.folder / COMMAND_PIPE).open("w") as pipe:
            pipe.write(f"{text}\n")

    def api(self, path: str) -> Any:
        """Send a request to the REST API, with the token that `make stack` has printed."""
        token, url = re.findall(r"(Token [\w-]+)' '(http://[^/]+)", self.welcome)[0]
        request = urllib.request.Request(url + path, headers={"Authorization": token})  # noqa: S310 - a local URL
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310 - a local URL
            return json.load(answer)


def test_the_stack_runs_once_restarts_killed_parts_keeps_its_data_and_stops_everything(folder: Path) -> None:
    stack = Stack(folder)
    try:
        assert stack.api("/api/v1/conversations/")["results"] == []
        assert sorted(stack.pids) == ["ingest-1", "postgresql", "valkey", "web"]
        before = stack.pids
        for part in ("ingest", "postgresql", "valkey"):
            stack.send_command(f"kill {part}")
        wait_until(lambda: all(stack.pids[name] != before[name] for name in ("ingest-1", "postgresql", "valkey")))
        wait_until(lambda: _is_answering(stack))
        workers = {child.pid for child in psutil.Process(stack.pids["web"]).children()}
        stack.send_command("kill web")
        wait_until(lambda: not workers <= {child.pid for child in psutil.Process(stack.pids["web"]).children()})
        assert _is_answering(stack)  # the API token was committed before PostgreSQL was killed
        assert _start_second_stack(folder) == f"make stack: it runs already, with its data in {folder}\n"
        everything = psutil.Process(stack.process.pid).children(recursive=True)
    finally:
        assert stack.stop(signal.SIGTERM) == 0
    assert not psutil.wait_procs(everything, timeout=TIMEOUT)[1]
    assert not {"env", COMMAND_PIPE, STATE_FILE} & {path.name for path in folder.iterdir()}


def _start_second_stack(folder: Path) -> str:
    """Run `make stack` a second time in the same folder; return the error text that the second run prints."""
    command = [sys.executable, "-m", "tests.devstack", "--port", "0", "--folder", str(folder)]
    done = subprocess.run(
        command, cwd=environment.BASE_DIR, capture_output=True, text=True, timeout=TIMEOUT, check=False
    )
    assert done.returncode == 1
    return done.stderr


def _is_answering(stack: Stack) -> bool:
    try:
        return bool(stack.api("/api/v1/conversations/")["results"] == [])
    except OSError:
        return False
