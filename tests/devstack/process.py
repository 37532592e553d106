"""Starts, checks and stops a program that runs as a child process.

Children have process groups of their own, so that the terminal's Ctrl-C does not reach them and this process decides
the order in which they stop. On Linux they also end when this process is killed.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypedDict

START_TIMEOUT = 60.0  # seconds
STOP_TIMEOUT = 10.0  # seconds
POLL_SECONDS = 0.05
_LOG_TAIL_CHARS = 2000  # characters of a log in an error message
_SET_PDEATHSIG = 1  # prctl(2): set the signal that this process gets when its parent dies

Command = list[str | Path]
Process = subprocess.Popen[bytes]


class Identity(TypedDict, total=False):
    """The arguments of `subprocess` that run a program as another user; empty for the current user."""

    user: int
    group: int
    extra_groups: list[int]


class ServerFailed(Exception):
    """A program ended, or was not ready in time; the message contains the end of its log."""


@dataclass(frozen=True)
class Program:
    """How to run one program.

    Attributes:
        name: its name; its log is `<name>.log`.
        command: the command line.
        folder: its working directory and the folder of its log.
        is_ready: returns whether it is ready; polled after the start.
        stop_signal: the signal that stops it cleanly.
        stop_timeout: seconds it may take to stop before it is killed.
        stop_last: whether other programs need it, so that it stops after them.
        environ: its environment; None: that of this process.
        descriptors: open file descriptors that it inherits.
        identity: the user that runs it.
    """

    name: str
    command: Command
    folder: Path
    is_ready: Callable[[], bool] = lambda: True
    stop_signal: signal.Signals = signal.SIGTERM
    stop_timeout: float = STOP_TIMEOUT
    stop_last: bool = False
    environ: Mapping[str, str] | None = None
    descriptors: tuple[int, ...] = ()
    identity: Identity = field(default_factory=Identity)

    @property
    def log_file(self) -> Path:
        """The file of its output."""
        return self.folder / f"{self.name}.log"


def start(program: Program) -> Process:
    """Start a program, without waiting until it is ready."""
    with program.log_file.open("ab") as output:
        return subprocess.Popen(
            program.command,
            cwd=program.folder,
            env=program.environ,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            process_group=0,
            pass_fds=program.descriptors,
            preexec_fn=partial(_end_with_parent, os.getpid(), program.stop_signal),  # noqa: PLW1509 - takes no locks
            **program.identity,
        )


def wait_until_ready(program: Program, process: Process, is_stopped: Callable[[], bool] = lambda: False) -> None:
    """Wait until a program is ready, or until `is_stopped` returns True.

    Raises:
        ServerFailed: it ended, or is not ready in time.
    """
    deadline = time.monotonic() + START_TIMEOUT
    while not is_stopped() and not program.is_ready():
        if process.poll() is not None or time.monotonic() > deadline:
            output = program.log_file.read_text(errors="replace")
            raise ServerFailed(f"{program.log_file}: {output[-_LOG_TAIL_CHARS:].strip()}")
        time.sleep(POLL_SECONDS)


def stop(process: Process, *signals: int, timeout: float = STOP_TIMEOUT) -> None:
    """Send the signals in turn, then SIGKILL, and wait `timeout` seconds after each; signal 0 only waits."""
    for number in (*signals, signal.SIGKILL):
        process.send_signal(number)
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            continue
        return


_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def _end_with_parent(parent: int, number: signal.Signals) -> None:
    """Ask the kernel to send this new child process a signal when its parent dies."""
    if _libc is not None:
        _libc.prctl(_SET_PDEATHSIG, number)
        if os.getppid() != parent:  # the parent died before the request
            os.kill(os.getpid(), signal.SIGKILL)
