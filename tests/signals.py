"""Handles SIGINT, SIGTERM and SIGHUP: a handler only records the signal, and the program reacts later at a safe point.

An exception raised in the handler could interrupt the program after it has started a child process, but before it has
stored the `Popen` object.
"""

import signal

TERMINATION_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_received: list[int] = []


class Interrupted(Exception):
    """The process received the termination signal with the number `number`."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def install_handlers() -> None:
    """Install handlers that record SIGINT, SIGTERM and SIGHUP, so that these signals no longer end the process."""
    for number in TERMINATION_SIGNALS:
        signal.signal(number, lambda number, _frame: _received.append(number))


def reset_ignored() -> None:
    """Reset termination signals that this process ignores since its start, because its child processes inherit that.

    `nohup` and the background jobs of a shell start programs with SIGHUP or SIGINT ignored.
    """
    for number in TERMINATION_SIGNALS:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


def reset_in_child() -> None:
    """Reset the signal handlers in a forked child, and ignore Ctrl-C in it, because the parent stops its children."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def first_received() -> int:
    """Return the number of the first recorded termination signal; 0 if none was recorded."""
    return _received[0] if _received else 0


def raise_if_received() -> None:
    """Raise `Interrupted` if a termination signal was recorded."""
    if number := first_received():
        raise Interrupted(number)
