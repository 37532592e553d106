"""Keeps programs running: restarts a program that ends, after a delay that grows with each failure in succession.

The supervisor reads commands from the named pipe `orders`, one command in each line. The load test writes commands to
this pipe, and so can you:

    echo kill web > var/stack/orders                kill one web process with SIGKILL
    echo restart postgresql > var/stack/orders      stop PostgreSQL cleanly, then start it again

The file `state.json` beside the named pipe contains the process id of each program.
"""

import itertools
import json
import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.devstack import process as programs
from tests.devstack.process import Process, Program

COMMAND_PIPE = "orders"
STATE_FILE = "state.json"

POLL_SECONDS = 0.1
STABLE_SECONDS = 5.0  # seconds; when a program has run for longer, its failures are counted from zero again
RESTART_DELAY_STEP = 0.5  # seconds by which each failure in succession increases the delay before a restart
MAX_RESTART_DELAY = 5.0  # maximum delay before a restart, in seconds
MAX_COMMAND_BYTES = 4096  # maximum number of bytes that one call reads from the named pipe


@dataclass
class _Child:
    program: Program
    process: Process
    started_at: float
    failures: int = 0
    restart_at: float | None = None  # when the ended program is started again; None while the program runs


class Supervisor:
    """Starts, restarts and stops the programs of one site.

    Args:
        folder: the folder of the named pipe and of `state.json`.
        report: a function that is called with a line of text when a program ends, and for each command.
    """

    def __init__(self, folder: Path, report: Callable[[str], None]) -> None:
        self._folder = folder
        self._report = report
        self._children: dict[str, _Child] = {}
        self._counters: dict[str, Iterator[int]] = {}  # kind of program → index of the next process to kill
        self._pipe = _open_pipe(folder / COMMAND_PIPE)

    def start(self, program: Program, is_stopped: Callable[[], bool]) -> None:
        """Start a program, and wait until it is ready.

        Raises:
            ServerFailed: the program ended, or was not ready in time.
        """
        process = programs.start(program)
        self._children[program.name] = _Child(program, process, time.monotonic())
        self._write_state()
        programs.wait_until_ready(program, process, is_stopped)

    def supervise(self, is_stopped: Callable[[], bool]) -> None:
        """Restart programs, rotate their logs, and execute commands from the pipe, until `is_stopped` returns True."""
        while not is_stopped():
            self.restart_dead()
            for child in self._children.values():
                child.program.rotate_log()
            if select.select([self._pipe], [], [], POLL_SECONDS)[0]:
                for line in os.read(self._pipe, MAX_COMMAND_BYTES).decode(errors="replace").splitlines():
                    self._handle_command(line)

    def restart_dead(self) -> None:
        """Start each ended program again when its restart delay is over."""
        now = time.monotonic()
        for child in self._children.values():
            if child.restart_at is None and child.process.poll() is not None:
                was_stable = now - child.started_at >= STABLE_SECONDS
                child.failures = 0 if was_stable else child.failures + 1
                child.restart_at = now + min(child.failures * RESTART_DELAY_STEP, MAX_RESTART_DELAY)
                self._report(f"{child.program.name} ended with status {child.process.returncode}; restarting it")
            if child.restart_at is not None and now >= child.restart_at:
                child.process, child.started_at, child.restart_at = programs.start(child.program), now, None
                self._write_state()

    def stop(self) -> None:
        """Stop all programs: first those without `stop_last`, all at the same time, then those with `stop_last`."""
        children = sorted(self._children.values(), key=lambda child: child.program.stop_last)
        for child in children:
            if not child.program.stop_last:
                child.process.send_signal(child.program.stop_signal)
        for child in children:
            programs.stop(child.process, child.program.stop_signal, timeout=child.program.stop_timeout)
        self._children.clear()
        os.close(self._pipe)
        for name in (COMMAND_PIPE, STATE_FILE):
            (self._folder / name).unlink(missing_ok=True)

    def _handle_command(self, line: str) -> None:
        command, _, kind = line.partition(" ")
        children = [
            child for child in self._children.values() if _kind(child.program) == kind and child.restart_at is None
        ]
        if command not in ("kill", "restart") or not children:
            self._report(f"unknown command {line!r}; use kill or restart with one of {', '.join(self._kinds())}")
            return
        count = next(self._counters.setdefault(kind, itertools.count()))
        if command == "kill":
            pids = [pid for child in children for pid in (_web_workers(child.process) or [child.process.pid])]
            pid = pids[count % len(pids)]
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            self._report(f"killed {kind}, process {pid}")
        else:
            child = children[count % len(children)]
            child.process.send_signal(child.program.stop_signal)
            self._report(f"restarting {child.program.name}")

    def _kinds(self) -> list[str]:
        return sorted({_kind(child.program) for child in self._children.values()})

    def _write_state(self) -> None:
        state = {child.program.name: child.process.pid for child in self._children.values()}
        temporary = self._folder / "state.part"
        temporary.write_text(json.dumps(state) + "\n", encoding="utf-8")
        temporary.replace(self._folder / STATE_FILE)


def _kind(program: Program) -> str:
    """Return the kind of a program: its name without the number, such as `ingest` for `ingest-2`."""
    return program.name.partition("-")[0]


def _web_workers(process: Process) -> list[int]:
    """Return the ids of gunicorn's worker processes if the process is a gunicorn master, otherwise an empty list."""
    with suppress(psutil.NoSuchProcess):
        master = psutil.Process(process.pid)
        if "gunicorn" in master.cmdline():
            return [child.pid for child in master.children()]
    return []


def _open_pipe(path: Path) -> int:
    """Create a named pipe and open it for reading and writing, so that a read never returns the end of the file."""
    path.unlink(missing_ok=True)
    os.mkfifo(path, 0o600)
    return os.open(path, os.O_RDWR | os.O_NONBLOCK)
