"""Lets a server stop at once while it starts, and loses no signal on the way from one process to the next.

gunicorn's workers handle signals only after they have loaded the application, which takes seconds. Between the fork and
that moment, a worker would lose a signal, and its master would wait for the worker until the graceful timeout.
"""

import os
import signal
from typing import Any

STOPPING = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)


def hold_back() -> None:
    """Keep the signals that stop the process waiting, also over `exec`."""
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)


def let_through() -> None:
    """Deliver the signals that `hold_back` kept waiting, and all later ones."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)


def guard_forks() -> None:
    """Make each child process that this process forks from now on exit at a signal from its first moment."""
    parent = os.getpid()

    def before() -> None:
        if os.getpid() == parent:
            hold_back()

    def in_parent() -> None:
        if os.getpid() == parent:
            let_through()

    def in_child() -> None:
        if os.getppid() == parent:
            exit_at_once()
            let_through()

    os.register_at_fork(before=before, after_in_parent=in_parent, after_in_child=in_child)


def exit_at_once() -> None:
    """End the process at a signal, without cleaning up: nothing that a process does while it starts needs it.

    An exception would not do, because Python drops exceptions in callbacks of imports and of the garbage collector.
    """
    for number in STOPPING:
        signal.signal(number, _exit)


def ignore() -> None:
    """Ignore the signals, because the process is ending already, and cleans up."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)


def _exit(*_: Any) -> None:
    os._exit(0)
