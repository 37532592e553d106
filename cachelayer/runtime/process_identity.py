"""Identifies a process, so that another process of the same machine can prove that it has ended.

The identity is a text with the boot of the machine, the namespaces in which process ids and start times count, the
process id, and the start time, because another process may get the same id later. Only Linux has all of these.
"""

import os
from pathlib import Path

PROC = Path("/proc")
ENDED_STATES = ("Z", "X")  # a process that has ended, and whose parent has not read its exit status yet
# The positions of fields after the program's name in `/proc/<pid>/stat` (see proc_pid_stat(5)).
STATE, START_TIME = 0, 19


def identify(pid: int) -> str:
    """Return the identity of a running process; "" if this machine cannot tell it."""
    try:
        return f"{_machine()} {pid} {_stat(pid)[START_TIME]}"
    except (OSError, IndexError):
        return ""


def has_ended(identity: str) -> bool:
    """Return whether it is certain that a process has ended; False for "", and for a process of another machine."""
    try:
        machine, pid, start_time = identity.rsplit(" ", 2)
        if machine != _machine():
            return False
        os.kill(int(pid), 0)  # raises ProcessLookupError if there is no such process
        stat = _stat(int(pid))
        is_same = int(stat[START_TIME]) == int(start_time)
        return not is_same or (stat[STATE] in ENDED_STATES and not _has_other_threads(int(pid)))
    except ProcessLookupError:
        return True
    except (OSError, ValueError, IndexError):
        return False


def _machine() -> str:
    """Return the boot of this machine, and the namespaces of this process: a container has namespaces of its own.

    Raises:
        OSError: the machine has no `/proc`, or `/proc` shows the processes of another namespace.
    """
    if PROC.joinpath("self").readlink().name != str(os.getpid()):
        raise OSError("/proc shows the processes of another namespace")
    boot = PROC.joinpath("sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return " ".join([boot, *(str(PROC.joinpath("self/ns", name).readlink()) for name in ("pid", "time"))])


def _stat(pid: int) -> list[str]:
    text = PROC.joinpath(str(pid), "stat").read_text(encoding="utf-8", errors="replace")
    return text.rpartition(")")[2].split()  # the program's name before the bracket may contain anything


def _has_other_threads(pid: int) -> bool:
    """Return whether threads of a process are still ending, although its first thread has ended."""
    return len(list(PROC.joinpath(str(pid), "task").iterdir())) > 1
