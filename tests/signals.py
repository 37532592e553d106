"""Termination signals: the handler only records them, and the program reacts at a safe point.

Raising from the handler could interrupt the program between starting a child process and storing its handle.
"""

import signal

TERMINATION_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_received: list[int] = []


class Interrupted(Exception):
    """The process received a termination signal with this `number`."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def install_handlers() -> None:
    """Record termination signals from now on, instead of ending the process."""
    for number in TERMINATION_SIGNALS:
        signal.signal(number, lambda number, _frame: _received.append(number))


def reset_in_child() -> None:
    """Restore the defaults in a forked child, and ignore Ctrl-C there: the parent stops its children itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def first_received() -> int:
    """Return the number of the first recorded signal, or 0."""
    return _received[0] if _received else 0


def raise_if_received() -> None:
    """Raise `Interrupted` if a termination signal was recorded."""
    if number := first_received():
        raise Interrupted(number)
