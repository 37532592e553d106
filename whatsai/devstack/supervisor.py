"""Keeps programs running: what dies is started again, at once, and later each time if it does not live.

It takes orders through a pipe in its folder, one a line, for the load test and for the curious:

    echo kill web > var/stack/orders         SIGKILL one process of that kind
    echo restart postgresql > var/stack/orders       stop it cleanly, and start it again

`state.json` beside it names the processes there are.
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

from whatsai.devstack import process as programs
from whatsai.devstack.process import Process, Program

LOOK_EVERY = 0.1  # seconds
LIVES = 5.0  # seconds after which a program counts as running
LONGEST_REST = 5.0  # before the next start of one that does not live
LONGEST_ORDERS = 4096  # bytes read at once


@dataclass
class _Child:
    program: Program
    process: Process
    started_at: float
    failures: int = 0
    due_at: float | None = None  # when it is to be started again


class Supervisor:
    """The programs of one folder, from `start` to `stop`.

    Args:
        folder: for the pipe and the state.
        say: is told what happens, a line each.
    """

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        self._folder = folder
        self._say = say
        self._children: dict[str, _Child] = {}
        self._turns: dict[str, Iterator[int]] = {}
        self._orders = _pipe(folder / "orders")

    def start(self, program: Program, is_stopped: Callable[[], bool]) -> None:
        """Start a program, and wait until it answers.

        Raises:
            ServerFailed: it does not.
        """
        process = programs.start(program)
        self._children[program.name] = _Child(program, process, time.monotonic())
        self._write_state()
        programs.wait_until_ready(program, process, is_stopped)

    def supervise(self, is_stopped: Callable[[], bool]) -> None:
        """Start what dies, and obey, until `is_stopped`."""
        while not is_stopped():
            self.restart_dead()
            if select.select([self._orders], [], [], LOOK_EVERY)[0]:
                for line in os.read(self._orders, LONGEST_ORDERS).decode(errors="replace").splitlines():
                    self._handle_command(line)

    def restart_dead(self) -> None:
        """Start again what has died, where it is time."""
        now = time.monotonic()
        for child in self._children.values():
            if child.due_at is None and child.process.poll() is not None:
                has_lived = now - child.started_at >= LIVES
                child.failures = 0 if has_lived else child.failures + 1
                child.due_at = now + min(child.failures * 0.5, LONGEST_REST)
                self._say(f"{child.program.name} ended ({child.process.returncode}); it is started again")
            if child.due_at is not None and now >= child.due_at:
                child.process, child.started_at, child.due_at = programs.start(child.program), now, None
                self._write_state()

    def stop(self) -> None:
        """Stop all: at once those that nobody needs, then the others."""
        children = sorted(self._children.values(), key=lambda child: child.program.stop_last)
        for child in children:
            if not child.program.stop_last:
                child.process.send_signal(child.program.stop_signal)
        for child in children:
            programs.stop(child.process, child.program.stop_signal, timeout=child.program.stop_timeout)
        self._children.clear()
        os.close(self._orders)
        for name in ("orders", "state.json"):
            (self._folder / name).unlink(missing_ok=True)

    def _handle_command(self, order: str) -> None:
        word, _, kind = order.partition(" ")
        found = [child for child in self._children.values() if _kind(child.program) == kind and child.due_at is None]
        if word not in ("kill", "restart") or not found:
            self._say(f"not understood: {order!r}; kill or restart, and one of {', '.join(self._kinds())}")
            return
        turn = next(self._turns.setdefault(kind, itertools.count()))
        if word == "kill":
            pids = [pid for child in found for pid in (_workers(child.process) or [child.process.pid])]
            pid = pids[turn % len(pids)]
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            self._say(f"killed {kind}, process {pid}")
        else:
            child = found[turn % len(found)]
            child.process.send_signal(child.program.stop_signal)
            self._say(f"restarts {child.program.name}")

    def _kinds(self) -> list[str]:
        return sorted({_kind(child.program) for child in self._children.values()})

    def _write_state(self) -> None:
        state = {child.program.name: child.process.pid for child in self._children.values()}
        part = self._folder / "state.part"
        part.write_text(json.dumps(state) + "\n", encoding="utf-8")
        part.replace(self._folder / "state.json")


def _kind(program: Program) -> str:
    """Return what a program is one of: `ingest-2` is an `ingest`."""
    return program.name.partition("-")[0]


def _workers(process: Process) -> list[int]:
    """Return the processes that do a web server's work: of its master's children only."""
    with suppress(psutil.NoSuchProcess):
        command = psutil.Process(process.pid)
        if "gunicorn" in command.cmdline():
            return [child.pid for child in command.children()]
    return []


def _pipe(path: Path) -> int:
    """Make a named pipe and open it, for writing too: so it never ends."""
    path.unlink(missing_ok=True)
    os.mkfifo(path, 0o600)
    return os.open(path, os.O_RDWR | os.O_NONBLOCK)
