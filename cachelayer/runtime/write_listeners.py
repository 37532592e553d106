"""Callbacks that run after writes to cached models, in this process and in all that share its store.

They are wake-ups for code that waits for changes. They carry no truth: a message of another process can be lost, a
callback can run although the write was rolled back, and another process's write may not be committed yet. Whoever
needs every change also looks by itself from time to time.
"""

from collections.abc import Callable

Listener = Callable[[], object]


class WriteListeners:
    """The callbacks of one process. They run in the thread that writes or receives messages, so they must be quick."""

    def __init__(self) -> None:
        self._listeners: tuple[Listener, ...] = ()

    def add(self, listener: Listener) -> None:
        """Call `listener` after each write from now on."""
        self._listeners = (*self._listeners, listener)

    def remove(self, listener: Listener) -> None:
        """Call `listener` no more."""
        self._listeners = tuple(other for other in self._listeners if other != listener)

    def clear(self) -> None:
        """Forget all callbacks."""
        self._listeners = ()

    def notify(self) -> None:
        """Call all callbacks."""
        for listener in self._listeners:
            listener()
