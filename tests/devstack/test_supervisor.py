import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

import psutil
import pytest

from tests.devstack.process import Program
from tests.devstack.supervisor import COMMAND_PIPE, STATE_FILE, Supervisor
from tests.waiting import wait_until

pytestmark = pytest.mark.once

TIMEOUT = 120  # seconds after which a test with a hung process fails


class SupervisedPrograms:
    """Runs a supervisor in a thread, with two programs of the kind `worker` and one of the kind `store`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.reports: list[str] = []
        self._stopped = Event()
        self._supervisor = Supervisor(folder, self.reports.append)
        for name in ("store", "worker-1", "worker-2"):
            self._supervisor.start(Program(name, ["sleep", "600"], folder), lambda: False)
        self._thread = Thread(target=self._supervisor.supervise, args=[self._stopped.is_set])
        self._thread.start()

    @property
    def pids(self) -> dict[str, int]:
        return dict(json.loads((self.folder / STATE_FILE).read_text()))

    def send_command(self, text: str) -> None:
        with (self.folder / COMMAND_PIPE).open("w") as pipe:
            pipe.write(f"{text}\n")

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()
        self._supervisor.stop()


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[SupervisedPrograms]:
    made = SupervisedPrograms(tmp_path)
    yield made
    made.stop()


def test_a_killed_program_is_restarted(programs: SupervisedPrograms) -> None:
    before = programs.pids
    os.kill(before["store"], signal.SIGKILL)
    wait_until(lambda: programs.pids["store"] != before["store"])
    assert psutil.pid_exists(programs.pids["store"])
    assert any("store ended with status -9" in line for line in programs.reports)


def test_the_kill_command_takes_the_processes_of_a_kind_in_turn(programs: SupervisedPrograms) -> None:
    before = programs.pids
    programs.send_command("kill worker")
    wait_until(lambda: programs.pids["worker-1"] != before["worker-1"])
    assert programs.pids["worker-2"] == before["worker-2"]
    programs.send_command("kill worker")
    wait_until(lambda: programs.pids["worker-2"] != before["worker-2"])
    assert programs.pids["store"] == before["store"]


def test_the_restart_command_stops_a_program_cleanly(programs: SupervisedPrograms) -> None:
    before = programs.pids
    programs.send_command("restart store")
    wait_until(lambda: programs.pids["store"] != before["store"])
    assert any(f"store ended with status {-signal.SIGTERM}" in line for line in programs.reports)


def test_an_unknown_command_is_reported_and_changes_nothing(programs: SupervisedPrograms) -> None:
    before = programs.pids
    programs.send_command("paint it black")
    wait_until(lambda: bool(programs.reports))
    assert programs.reports == ["unknown command 'paint it black'; use kill or restart with one of store, worker"]
    assert programs.pids == before


def test_stop_ends_all_programs_and_removes_the_pipe_and_the_state(tmp_path: Path) -> None:
    programs = SupervisedPrograms(tmp_path)
    processes = [psutil.Process(pid) for pid in programs.pids.values()]
    programs.stop()
    assert not any(process.is_running() for process in processes)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store.log", "worker-1.log", "worker-2.log"]
