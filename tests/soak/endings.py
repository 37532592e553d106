"""How a soak ends before its time: by a signal, noted when it comes and raised where nothing is half started."""

import signal

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_caught: list[int] = []


class Ended(Exception):
    """The soak was told to end by a signal, of this `number`."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class ProcessFailed(Exception):
    """A reader or a writer ended by itself."""


def listen() -> None:
    """Note the signals that end the soak from now on."""
    for number in ENDING:
        signal.signal(number, lambda number, _frame: _caught.append(number))


def ignore() -> None:
    """Leave it to the parent, in a process that it forked: Ctrl-C reaches all, and the parent ends them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def caught() -> int:
    """Return the first signal that has come; 0 for none."""
    return _caught[0] if _caught else 0


def check() -> None:
    """Raise `Ended` if one has come."""
    if number := caught():
        raise Ended(number)
