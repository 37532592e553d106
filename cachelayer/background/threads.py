"""The background threads of one `CacheRuntime`: heartbeat, recovery and, if the store is shared, subscriber."""

import threading
from contextlib import suppress

from cachelayer.background.heartbeat import LeaseRenewer
from cachelayer.background.recovery import RecoveryThread
from cachelayer.background.subscriber import InvalidationSubscriber
from cachelayer.runtime.runtime import CacheRuntime


class BackgroundThreads:
    """The daemon threads that the cache of one process needs.

    With Redis, every process that reads from the cache needs the threads. Without Redis, only the process that owns the
    cache needs the threads.
    """

    def __init__(self, runtime: CacheRuntime) -> None:
        self._stopped = threading.Event()
        self._is_started = False
        self._lock = threading.Lock()
        self._heartbeat = LeaseRenewer(runtime, self._stopped)
        self._recovery = RecoveryThread(runtime, self._stopped)
        self._running: list[threading.Thread] = []
        self._targets = {"heartbeat": self._heartbeat.run, "recovery": self._recovery.run}
        if runtime.store.subscribe is not None:
            self._targets["subscriber"] = InvalidationSubscriber(runtime, runtime.store.subscribe, self._stopped).run

    def start(self) -> None:
        """Start the threads at the first call; further calls do nothing."""
        if self._is_started:
            return
        with self._lock:
            targets, self._targets = self._targets, {}
            self._is_started = True
            for name, target in targets.items():
                with suppress(RuntimeError):  # no thread can start while the interpreter shuts down
                    thread = threading.Thread(target=target, name=f"cachelayer-{name}", daemon=True)
                    thread.start()
                    self._running.append(thread)

    def start_serving(self) -> None:
        """Start the threads in a process that answers requests."""
        self._recovery.is_server = True
        self.start()

    def inherit(self, parent: "BackgroundThreads") -> None:
        """Copy from the threads of the parent process of a fork whether the process answers requests."""
        self._recovery.is_server = parent._recovery.is_server  # noqa: SLF001 - `parent` has this class

    def wake(self) -> None:
        """Wake the heartbeat and the recovery thread, because the store may have lost intents of this process."""
        self._heartbeat.wake()
        self._recovery.wake()

    def report(self) -> None:
        """Add the counters of this process to the sums in the database.

        Raises:
            DatabaseError: the database does not accept the sums.
        """
        self._recovery.reporter.report()

    def stop(self, within: float = 0.0) -> None:
        """Tell the threads to stop, and wait up to `within` seconds for each thread to end."""
        self._stopped.set()
        self.wake()
        for thread in self._running if within else ():
            thread.join(within)
