import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread
from time import monotonic, sleep

import psutil
import pytest

from whatsai.devstack.process import Program
from whatsai.devstack.supervisor import Supervisor

pytestmark = pytest.mark.once

PATIENCE = 30  # seconds


class Watched:
    """Two programs of one kind and one of another, under a supervisor in a thread."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said: list[str] = []
        self._ends = Event()
        self._supervisor = Supervisor(folder, self.said.append)
        for name in ("store", "worker-1", "worker-2"):
            self._supervisor.start(Program(name, ["sleep", "600"], folder), lambda: False)
        self._thread = Thread(target=self._supervisor.supervise, args=[self._ends.is_set])
        self._thread.start()

    @property
    def pids(self) -> dict[str, int]:
        return dict(json.loads((self.folder / "state.json").read_text()))

    def order(self, text: str) -> None:
        with (self.folder / "orders").open("w") as pipe:
            pipe.write(f"{text}\n")

    def stop(self) -> None:
        self._ends.set()
        self._thread.join()
        self._supervisor.stop()


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    made = Watched(tmp_path)
    yield made
    made.stop()


def until(condition: Callable[[], bool]) -> None:
    deadline = monotonic() + PATIENCE
    while not condition():
        assert monotonic() < deadline
        sleep(0.02)


def test_what_dies_is_started_again(watched: Watched) -> None:
    before = watched.pids
    os.kill(before["store"], signal.SIGKILL)
    until(lambda: watched.pids["store"] != before["store"])
    assert psutil.pid_exists(watched.pids["store"])
    assert any("store ended (-9)" in line for line in watched.said)


def test_an_order_kills_the_processes_of_a_kind_in_turn(watched: Watched) -> None:
    before = watched.pids
    watched.order("kill worker")
    until(lambda: watched.pids["worker-1"] != before["worker-1"])
    assert watched.pids["worker-2"] == before["worker-2"]
    watched.order("kill worker")
    until(lambda: watched.pids["worker-2"] != before["worker-2"])
    assert watched.pids["store"] == before["store"]


def test_an_order_restarts_cleanly(watched: Watched) -> None:
    before = watched.pids
    watched.order("restart store")
    until(lambda: watched.pids["store"] != before["store"])
    assert any(f"store ended ({-signal.SIGTERM})" in line for line in watched.said)


def test_what_is_no_order_is_said_and_changes_nothing(watched: Watched) -> None:
    before = watched.pids
    watched.order("paint it black")
    until(lambda: bool(watched.said))
    assert watched.said == ["not understood: 'paint it black'; kill or restart, and one of store, worker"]
    assert watched.pids == before


def test_at_the_end_nothing_is_left(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    processes = [psutil.Process(pid) for pid in watched.pids.values()]
    watched.stop()
    assert not any(process.is_running() for process in processes)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store.log", "worker-1.log", "worker-2.log"]
