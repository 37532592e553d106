"""Keeps programs running: restarts a program that ends, after a delay that grows while it fails again and again.

It reads commands from a named pipe in its folder, one a line. The load test uses them; you can too:

    echo kill web > var/stack/orders                SIGKILL one process of that kind
    echo restart postgresql > var/stack/orders      stop it cleanly, then start it again

`state.json` in the same folder contains the process ids by program name.
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
STABLE_SECONDS = 5.0  # a program that ran for so long counts as started; its failures count from zero again
RESTART_DELAY_STEP = 0.5  # seconds for each failed start
MAX_RESTART_DELAY = 5.0  # seconds
MAX_COMMAND_BYTES = 4096  # bytes read from the pipe at once


@dataclass
class _Child:
    program: Program
    process: Process
    started_at: float
    failures: int = 0
    restart_at: float | None = None  # when it is started again; None while it runs


class Supervisor:
    """Supervises the programs of one folder.

    Args:
        folder: the folder of the command pipe and the state file.
        report: called with a line of text for each thing that happens.
    """

    def __init__(self, folder: Path, report: Callable[[str], None]) -> None:
        self._folder = folder
        self._report = report
        self._children: dict[str, _Child] = {}
        self._counters: dict[str, Iterator[int]] = {}  # by kind; commands take its processes in turn
        self._pipe = _open_pipe(folder / COMMAND_PIPE)

    def start(self, program: Program, is_stopped: Callable[[], bool]) -> None:
        """Start a program, and wait until it is ready.

        Raises:
            ServerFailed: it ended, or is not ready in time.
        """
        process = programs.start(program)
        self._children[program.name] = _Child(program, process, time.monotonic())
        self._write_state()
        programs.wait_until_ready(program, process, is_stopped)

    def supervise(self, is_stopped: Callable[[], bool]) -> None:
        """Restart programs that end, and execute commands, until `is_stopped` returns True."""
        while not is_stopped():
            self.restart_dead()
            if select.select([self._pipe], [], [], POLL_SECONDS)[0]:
                for line in os.read(self._pipe, MAX_COMMAND_BYTES).decode(errors="replace").splitlines():
                    self._handle_command(line)

    def restart_dead(self) -> None:
        """Start the ended programs whose delay is over."""
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
        """Stop all programs: first, all at once, those without `stop_last`, then the others."""
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
    """Return a program's name without its number: `ingest` for `ingest-2`."""
    return program.name.partition("-")[0]


def _web_workers(process: Process) -> list[int]:
    """Return the worker processes if the process is a gunicorn master."""
    with suppress(psutil.NoSuchProcess):
        master = psutil.Process(process.pid)
        if "gunicorn" in master.cmdline():
            return [child.pid for child in master.children()]
    return []


def _open_pipe(path: Path) -> int:
    """Create a named pipe and open it; also for writing, so that it never reaches its end."""
    path.unlink(missing_ok=True)
    os.mkfifo(path, 0o600)
    return os.open(path, os.O_RDWR | os.O_NONBLOCK)
