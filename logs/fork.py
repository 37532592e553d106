"""The registry of callbacks that run in a forked child process.

A forked child has none of its parent's threads, and a lock that such a thread held stays locked for ever. Each module
that owns threads, locks or per-process state registers one callback here that resets them.
"""

import os
from collections.abc import Callable

Callback = Callable[[], object]

_callbacks: list[Callback] = []


def after_fork(callback: Callback) -> Callback:
    """Register a callback to run in every forked child, and return it, so that this works as a decorator.

    Callbacks run in the order of their registration, lowest package first. Registering one again changes nothing.
    Python reports an exception of one callback on the standard error, and runs the others.
    """
    if callback not in _callbacks:
        _callbacks.append(callback)
        os.register_at_fork(after_in_child=callback)
    return callback
