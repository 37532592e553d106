"""What runs in a forked child: one list of callbacks, called in the order in which they were registered.

It stands in the lowest package so that every other package can use it.
"""

import os
from collections.abc import Callable

_callbacks: list[Callable[[], None]] = []


def after_fork(callback: Callable[[], None]) -> None:
    """Call a function in every child that is forked from now on."""
    _callbacks.append(callback)


def _run() -> None:
    for callback in _callbacks:
        callback()


os.register_at_fork(after_in_child=_run)
