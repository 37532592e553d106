"""The registry of callbacks that run in a forked child process.

A forked child has none of its parent's threads, and a lock that one of these threads held stays locked for ever. Each
module that owns threads, locks or per-process state registers one callback with `after_fork` to reset them:

- `logs/file_lock.py`, `logs/handler.py` and `logs/line_limit.py`
- `cachelayer/stores/transport.py`, `cachelayer/runtime/runtime.py`, `cachelayer/write/transactions.py` and
  `cachelayer/ops/histogram_totals.py`
- `conversations/access/use.py`, `conversations/ingest/inbox/insert.py`, `conversations/webhooks/instances.py`,
  `conversations/api/authentication.py` and `conversations/startup.py`

`logs/handler.py` registers its before-fork and after-fork-in-parent hooks itself.
"""

import os
from collections.abc import Callable

Callback = Callable[[], object]

_callbacks: list[Callback] = []


def after_fork(callback: Callback) -> Callback:
    """Register a callback to run in every forked child, and return the callback; also works as a decorator.

    Callbacks run in the order of their registration: lower packages are imported, and so registered, first. Registering
    a callback again changes nothing. If a callback raises an exception, Python reports the exception on the standard
    error and runs the remaining callbacks.
    """
    if callback not in _callbacks:
        _callbacks.append(callback)
        os.register_at_fork(after_in_child=callback)
    return callback
