"""`make stack`, the whole of it."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import psutil
import pytest

from whatsai import environment

pytestmark = pytest.mark.postgresql  # it brings its own; once is enough
PATIENCE = 120  # seconds after which a hung process fails its test


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that another user, whom root lends PostgreSQL, can reach."""
    path = tmp_path_factory.mktemp("stack")
    for parent in (path, *path.parents):
        if parent.owner() == path.owner() and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o011)
    return path


class Stack:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        command = [sys.executable, "-m", "whatsai.devstack", "--port", "0", "--no-demo", "--folder", str(folder)]
        self.process = subprocess.Popen(  # noqa: S603 - the project's own command
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
        """Send a signal; return the exit status."""
        assert self.process.stdout
        self.process.send_signal(number)
        with self.process.stdout:
            return self.process.wait(PATIENCE)

    @property
    def pids(self) -> dict[str, int]:
        return dict(json.loads((self.folder / "state.json").read_text()))

    def order(self, text: str) -> None:
        with (self.folder / "orders").open("w") as pipe:
            pipe.write(f"{text}\n")

    def api(self, path: str) -> Any:
        """Ask with what the welcome gives."""
        token, url = re.findall(r"(Token \w+)' '(http://[^/]+)", self.welcome)[0]
        request = urllib.request.Request(url + path, headers={"Authorization": token})  # noqa: S310 - our own server
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310 - as above
            return json.load(answer)


def until(condition: Callable[[], bool]) -> None:
    deadline = monotonic() + PATIENCE
    while not condition():
        assert monotonic() < deadline
        sleep(0.05)


def test_it_runs_alone_survives_the_death_of_its_parts_keeps_its_data_and_leaves_nothing(folder: Path) -> None:
    stack = Stack(folder)
    try:
        assert stack.api("/api/v1/conversations/")["results"] == []
        assert sorted(stack.pids) == ["ingest-1", "postgresql", "valkey", "web"]
        before = stack.pids
        for part in ("ingest", "postgresql", "valkey"):
            stack.order(f"kill {part}")
        until(lambda: all(stack.pids[name] != before[name] for name in ("ingest-1", "postgresql", "valkey")))
        until(lambda: _answers(stack))
        workers = {child.pid for child in psutil.Process(stack.pids["web"]).children()}
        stack.order("kill web")
        until(lambda: not workers <= {child.pid for child in psutil.Process(stack.pids["web"]).children()})
        assert _answers(stack)  # the token of the welcome, which was made before the database was killed
        assert _second(folder) == f"make stack: it runs already, with its data in {folder}\n"
        everything = psutil.Process(stack.process.pid).children(recursive=True)
    finally:
        assert stack.stop(signal.SIGTERM) == 0
    assert not psutil.wait_procs(everything, timeout=PATIENCE)[1]
    assert not {"env", "orders", "state.json"} & {path.name for path in folder.iterdir()}


def _second(folder: Path) -> str:
    """Start another one in the same folder; return what it says as it gives up."""
    command = [sys.executable, "-m", "whatsai.devstack", "--port", "0", "--folder", str(folder)]
    done = subprocess.run(  # noqa: S603 - the project's own command
        command, cwd=environment.BASE_DIR, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 1
    return done.stderr


def _answers(stack: Stack) -> bool:
    try:
        return bool(stack.api("/api/v1/conversations/")["results"] == [])
    except OSError:
        return False
