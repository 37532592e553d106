"""A program that runs as a child of this process: how it is started, how it shows that it is there, how it is stopped.

Children are out of reach of the terminal's Ctrl-C, so that they stop in the order that this process decides, and end
with it even when it is killed (on Linux).
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
STOP_TIMEOUT = 10.0
POLL_SECONDS = 0.05
_END_OF_LOG = 2000  # characters
_SET_PDEATHSIG = 1  # prctl(2): the signal that a process gets when its parent has died

Command = list[str | Path]
Process = subprocess.Popen[bytes]


class Identity(TypedDict, total=False):
    """The arguments with which `subprocess` runs a program as another user; none of them for ourselves."""

    user: int
    group: int
    extra_groups: list[int]


class ServerFailed(Exception):
    """A program ended or did not answer in time; the message holds the end of its log."""


@dataclass(frozen=True)
class Program:
    """One program.

    Attributes:
        name: what to call it; its log is `<name>.log`.
        command: what is run.
        folder: where it runs, and where its log goes.
        answers: whether it is ready; called again and again once it runs.
        stop: the signal at which it stops cleanly, and within how many seconds.
        is_needed: by other programs, so that it is stopped after them.
        environ: its environment; None for this process' own.
        descriptors: open files that it inherits.
        identity: as whom it runs.
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
        """The file of what it prints."""
        return self.folder / f"{self.name}.log"


def start(program: Program) -> Process:
    """Start a program, which need not answer yet."""
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
            preexec_fn=partial(_end_with, os.getpid(), program.stop_signal),  # noqa: PLW1509 - between fork and exec, no locks
            **program.identity,
        )


def wait_until_ready(program: Program, process: Process, is_stopped: Callable[[], bool] = lambda: False) -> None:
    """Wait until a program answers, or until `is_stopped`.

    Raises:
        ServerFailed: it ended, or does not answer in time.
    """
    deadline = time.monotonic() + START_TIMEOUT
    while not is_stopped() and not program.is_ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise ServerFailed(f"{program.log_file}: {program.log_file.read_text(errors='replace')[-_END_OF_LOG:].strip()}")
        time.sleep(POLL_SECONDS)


def stop(process: Process, *signals: int, timeout: float = STOP_TIMEOUT) -> None:
    """Send each signal in turn until the process has gone, and at last SIGKILL; 0 only waits."""
    for number in (*signals, signal.SIGKILL):
        process.send_signal(number)
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            continue
        return


_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def _end_with(parent: int, number: signal.Signals) -> None:
    """Have this process, which is about to become a program, stopped when its parent has died."""
    if _libc is not None:
        _libc.prctl(_SET_PDEATHSIG, number)
        if os.getppid() != parent:  # it died before it was asked
            os.kill(os.getpid(), signal.SIGKILL)
