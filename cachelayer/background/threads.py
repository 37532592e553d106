"""The threads of one service: they keep this process in step with the others."""

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from cachelayer.background.heartbeat import LeaseRenewer
from cachelayer.background.recovery import RecoveryThread
from cachelayer.background.subscriber import InvalidationSubscriber
from cachelayer.stores.redis import RedisStore

if TYPE_CHECKING:
    from cachelayer.runtime.runtime import CacheRuntime


class BackgroundThreads:
    """A pulse, a mender, and where there is a server a listener: daemons, started by `awake` in the process that asks.

    Which processes those are differs: with a server every process that reads needs them; without one, the one process
    that has the cache.
    """

    def __init__(self, service: "CacheRuntime") -> None:
        self._stopped = threading.Event()
        self._is_awake = False
        self._lock = threading.Lock()
        self._pulse = LeaseRenewer(service, self._stopped)
        self._mender = RecoveryThread(service, self._stopped)
        self.report = self._mender.reporter.report
        self._running: list[threading.Thread] = []
        self._threads = {"pulse": self._pulse.run, "mender": self._mender.run}
        if isinstance(service.store, RedisStore):
            self._threads["listener"] = InvalidationSubscriber(service, service.store, self._stopped).run

    def start(self) -> None:
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

    def start_serving(self) -> None:
        """Start the threads in a process that answers requests."""
        self._mender.is_server = True
        self.start()

    def inherit(self, parent: "BackgroundThreads") -> None:
        """Serve, once awake, in a process that was forked from one that does."""
        self._mender.is_server = parent._mender.is_server  # noqa: SLF001 - of our own class

    def wake(self) -> None:
        """Renew and mend now: the store may have lost what it held of ours."""
        self._pulse.wake()
        self._mender.wake()

    def stop(self, within: float = 0.0) -> None:
        """Let the threads end, and wait for each of them for so many seconds at most."""
        self._stopped.set()
        self.wake()
        for thread in self._running if within else ():
            thread.join(within)
