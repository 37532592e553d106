"""Starts, checks and stops a program that runs as a child process.

Each child process is in a new process group, so that Ctrl-C in the terminal does not reach the child, and the parent
decides in which order its children stop. On Linux a child also ends when its parent is killed.
"""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypedDict

START_TIMEOUT = 60.0  # seconds until a started program must be ready
STOP_TIMEOUT = 10.0  # seconds until a program must have stopped
POLL_SECONDS = 0.05
MAX_LOG_BYTES = 10 * 1024 * 1024  # size of a program's output at which it is rotated
_LOG_TAIL_CHARS = 2000  # number of characters of a program's log in an error text
_SET_PDEATHSIG = 1  # option of prctl(2): which POSIX signal a process gets when its parent dies

Command = list[str | Path]
Process = subprocess.Popen[bytes]


class Identity(TypedDict, total=False):
    """Arguments of `subprocess.Popen` that run a program as another user; empty for the current user."""

    user: int
    group: int
    extra_groups: list[int]


class ServerFailed(Exception):
    """A program ended, or was not ready in time; the text of the error contains the end of the program's log."""


@dataclass(frozen=True)
class Program:
    """How to start, check and stop one program.

    Attributes:
        name: the program's name; its output goes to the file `<name>.log`.
        command: the command that starts the program, with its arguments.
        folder: the program's working directory and the folder of its log file.
        is_ready: a function that returns whether the program is ready; called repeatedly after the start.
        stop_signal: the POSIX signal that stops the program cleanly.
        stop_timeout: seconds that the program may take to stop before it is killed.
        stop_last: whether to stop the program after all others, because they need it.
        environ: the program's environment variables; None to inherit those of the parent process.
        descriptors: the open file descriptors that the program inherits.
        identity: the user that runs the program.
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
        """The path of the file with the program's output."""
        return self.folder / f"{self.name}.log"

    def rotate_log(self) -> None:
        """Move the program's output to `<name>.log.1`, in place of older output, if it is too long.

        The file is copied and emptied, because the program keeps it open. Lines written in between are lost.
        """
        if self.log_file.stat().st_size > MAX_LOG_BYTES:
            shutil.copyfile(self.log_file, self.log_file.with_name(f"{self.name}.log.1"))
            os.truncate(self.log_file, 0)


def start(program: Program) -> Process:
    """Start a program and return its process, without waiting until the program is ready."""
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
            preexec_fn=partial(_end_with_parent, os.getpid(), program.stop_signal),  # noqa: PLW1509 - prctl takes no lock
            **program.identity,
        )


def wait_until_ready(program: Program, process: Process, is_stopped: Callable[[], bool] = lambda: False) -> None:
    """Wait until a program is ready, or until `is_stopped` returns True.

    Raises:
        ServerFailed: the program ended, or was not ready in time.
    """
    deadline = time.monotonic() + START_TIMEOUT
    while not is_stopped() and not program.is_ready():
        if process.poll() is not None or time.monotonic() > deadline:
            output = program.log_file.read_text(errors="replace")
            raise ServerFailed(f"{program.log_file}: {output[-_LOG_TAIL_CHARS:].strip()}")
        time.sleep(POLL_SECONDS)


def stop(process: Process, *signals: int, timeout: float = STOP_TIMEOUT) -> None:
    """Stop a process: send POSIX signals one after the other until the process has ended.

    Args:
        process: the process to stop.
        signals: the POSIX signals to send, before SIGKILL; 0 sends nothing and only waits.
        timeout: how many seconds to wait after each signal for the process to end.
    """
    for number in (*signals, signal.SIGKILL):
        process.send_signal(number)
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            continue
        return


_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def _end_with_parent(parent: int, number: signal.Signals) -> None:
    """Ask the kernel to send a POSIX signal to this new child process when its parent dies."""
    if _libc is not None:
        _libc.prctl(_SET_PDEATHSIG, number)
        if os.getppid() != parent:  # the parent process died before prctl was called
            os.kill(os.getpid(), signal.SIGKILL)
