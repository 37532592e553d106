"""The threads of one service: they keep this process in step with the others."""

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from cachelayer.listener import Listener
from cachelayer.mender import Mender
from cachelayer.pulse import Pulse
from cachelayer.store.redis import RedisStore

if TYPE_CHECKING:
    from cachelayer.service import Service


class Keeper:
    """A pulse, a mender, and where there is a server a listener: daemons, started by `awake` in the process that asks.

    Which processes those are differs: with a server every process that reads needs them; without one, the one process
    that has the cache.
    """

    def __init__(self, service: "Service") -> None:
        self._stopped = threading.Event()
        self._is_awake = False
        self._lock = threading.Lock()
        self._pulse = Pulse(service, self._stopped)
        self._mender = Mender(service, self._stopped)
        self.report = self._mender.reporter.report
        self._running: list[threading.Thread] = []
        self._threads = {"pulse": self._pulse.run, "mender": self._mender.run}
        if isinstance(service.store, RedisStore):
            self._threads["listener"] = Listener(service, service.store, self._stopped).run

    def awake(self) -> None:
        """Start the threads, once."""
        if self._is_awake:
            return
        with self._lock:
            threads, self._threads = self._threads, {}
            self._is_awake = True
            for name, run in threads.items():
                with suppress(RuntimeError):  # no thread can be started while the interpreter goes down
                    thread = threading.Thread(target=run, name=f"cachelayer-{name}", daemon=True)
                    thread.start()
                    self._running.append(thread)

    def serve(self) -> None:
        """Start the threads in a process that answers requests."""
        self._mender.serves = True
        self.awake()

    def take_after(self, parent: "Keeper") -> None:
        """Serve, once awake, in a process that was forked from one that does."""
        self._mender.serves = parent._mender.serves  # noqa: SLF001 - of our own class

    def hurry(self) -> None:
        """Renew and mend now: the store may have lost what it held of ours."""
        self._pulse.hurry()
        self._mender.hurry()

    def stop(self, within: float = 0.0) -> None:
        """Let the threads end, and wait for each of them for so many seconds at most."""
        self._stopped.set()
        self.hurry()
        for thread in self._running if within else ():
            thread.join(within)
