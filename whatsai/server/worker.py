"""Gunicorn's worker class: an event loop that accepts connections, and reads and writes on them.

gunicorn's `ASGIWorker` follows its master's signals. `Worker` adds connections spread evenly over the processes, and a
limit of their number.
"""

import asyncio
import heapq
import os
import socket
from functools import partial
from operator import attrgetter
from typing import Any

from gunicorn.workers.gasgi import ASGIWorker

from conversations.api.client_address import network_of
from whatsai.server import stop_signals
from whatsai.server.arrivals import Arrivals
from whatsai.server.connection import Connection
from whatsai.server.connection_counts import ConnectionCounts
from whatsai.server.open_files import permit
from whatsai.server.stage import Stage

YIELD_SECONDS = 0.002  # how long a process waits for another one with fewer connections to accept
MAX_ACCEPTED = 64  # connections that are accepted at once
MAX_OPENED = 8  # connections that are set up at once, which takes a few milliseconds
LINGER_SECONDS = 1.0  # how long a process that stops still takes requests on its open connections
MAX_STREAMS = 10_000  # event streams of a process
RETRY_SECONDS = 0.5  # pause after a failed accept, such as when the process has too many open files

_RANK = attrgetter("rank")


class Worker(ASGIWorker):  # type: ignore[misc]  # gunicorn ships no type hints
    """Serves a WSGI application in `--threads` threads, behind an event loop."""

    counts = ConnectionCounts()  # made in the master, which imports this module before it forks

    def __init__(self, *args: Any, **options: Any) -> None:
        self._stopping = asyncio.Event()
        super().__init__(*args, **options)
        _, self.worker_connections, self._max_streams = permit(self.cfg.worker_connections, MAX_STREAMS)
        self._connections: dict[Connection, None] = {}  # in the order in which they were accepted
        self._arrivals = Arrivals(self.worker_connections)  # connections that are accepted but not yet set up
        self._has_arrivals = asyncio.Event()
        self._opening: set[asyncio.Task[Any]] = set()  # connections that are being set up

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Accept the option `--threads`, unlike gunicorn's worker class."""

    def init_signals(self) -> None:
        """Exit at a signal that stops the process, because it has no requests to finish before it serves."""
        stop_signals.exit_at_once()

    def run(self) -> None:
        """Serve until a signal, which the event loop handles. Ctrl-C sends two; the second must not end the cleanup."""
        super().init_signals()
        super().run()
        stop_signals.ignore()

    def load_wsgi(self) -> None:
        """Load the WSGI application, and put the ASGI application in front of it."""
        wsgi = self.app.wsgi()
        from whatsai.server.application import Application  # noqa: PLC0415 - it needs the settings that `wsgi` loads
        from whatsai.server.malformed import malformed  # noqa: PLC0415 - as above

        self.malformed = malformed

        # The remaining connections are free for health checks, because no running request's connection is closed.
        max_requests = max(self.worker_connections * 9 // 10, 1)
        self.asgi = Application(wsgi, self.cfg.threads, max_requests, max_followers=self._max_streams)

    def add(self, connection: Connection) -> None:
        """Count a new connection; if there are too many, close those that have waited longest in the lowest stage."""
        if len(self._connections) >= self.worker_connections:
            self._close_some(max(self.worker_connections // 100, 1))
        self._connections[connection] = None
        if len(self._connections) > self.worker_connections:
            connection.close()
        self.counts.set(self.age, self._count)

    def _close_some(self, count: int) -> None:
        for connection in heapq.nsmallest(count, self._connections, key=_RANK):
            if connection.rank[0] is not Stage.THREAD:
                connection.close()
                del self._connections[connection]  # closing takes until its client has read what was written

    def discard(self, connection: Connection) -> None:
        """Count a connection as closed."""
        self._connections.pop(connection, None)
        self.counts.set(self.age, self._count)

    @property
    def _count(self) -> int:
        """How many connections the process has, for the other processes; no limit depends on it.

        It leaves out those that are being set up: there are `MAX_OPENED` at most, for a few milliseconds.
        """
        return len(self._connections) + len(self._arrivals)

    @property
    def alive(self) -> bool:
        """Whether the process takes new connections; gunicorn sets it to False at a signal or after `max_requests`."""
        return not self._stopping.is_set()

    @alive.setter
    def alive(self, is_alive: bool) -> None:
        if not is_alive:
            self._stopping.set()

    async def _serve(self) -> None:
        self.counts.set(self.age, 0)
        acceptors = [self.loop.create_task(self._accept_from(listener.sock)) for listener in self.sockets]
        acceptors.append(self.loop.create_task(self._open_arrivals()))
        while self.alive and self.ppid == os.getppid():
            self.notify()
            await self._wait_for_stop(1.0)
        for acceptor in acceptors:
            acceptor.cancel()
        await asyncio.gather(*acceptors, return_exceptions=True)
        while self._opening or self._arrivals:  # an accepted connection must still be served
            await self._open_some()
        self.asgi.stop()
        if self._connections and not self._quick_shutdown:
            await asyncio.sleep(LINGER_SECONDS)
        for connection in [connection for connection in self._connections if connection.is_idle]:
            connection.close()
        await self._shutdown()
        self.counts.set(self.age, self.counts.UNUSED)

    async def _wait_for_stop(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return

    async def _accept_from(self, listener: socket.socket) -> None:
        """Accept connections; leave each to a process with fewer connections, if there is one and it is not busy."""
        listener.settimeout(0)
        while True:
            await self._wait_readable(listener)
            if self.counts.is_more_than_another(self._count):
                await asyncio.sleep(YIELD_SECONDS)
            try:
                self._accept_some(listener)
            except (BlockingIOError, ConnectionAbortedError):
                continue  # another process has accepted the connection, or its client is gone
            except OSError as error:
                self.log.warning("Connection NOT ACCEPTED: %s", error.strerror)
                await asyncio.sleep(RETRY_SECONDS)

    def _accept_some(self, listener: socket.socket) -> None:
        """Accept one connection, and further ones while no other process has fewer."""
        for _ in range(MAX_ACCEPTED):
            accepted, address = listener.accept()
            self._arrivals.add(network_of(address[0]) if isinstance(address, tuple) else "", accepted)
            self._has_arrivals.set()
            self.counts.set(self.age, self._count)
            if self.counts.is_more_than_another(self._count):
                break

    async def _open_arrivals(self) -> None:
        """Set up the connections that were accepted."""
        while True:
            await self._has_arrivals.wait()
            await self._open_some()
            if not self._arrivals:
                self._has_arrivals.clear()

    async def _open_some(self) -> None:
        """Set up the connections whose turn it is, and wait for them."""
        while self._arrivals and len(self._opening) < MAX_OPENED:
            connecting = self.loop.connect_accepted_socket(partial(Connection, self), self._arrivals.take())
            opening = self.loop.create_task(connecting)
            self._opening.add(opening)
            opening.add_done_callback(self._opened)
        if self._opening:
            await asyncio.wait(self._opening)

    def _opened(self, opening: "asyncio.Task[Any]") -> None:
        self._opening.discard(opening)
        if not opening.cancelled() and (error := opening.exception()):
            self.log.warning("Connection NOT OPENED: %s", error)

    async def _wait_readable(self, listener: socket.socket) -> None:
        readable = asyncio.Event()
        self.loop.add_reader(listener, readable.set)
        try:
            await readable.wait()
        finally:
            self.loop.remove_reader(listener)
