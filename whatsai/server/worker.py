"""Gunicorn's worker class: an event loop that reads and writes, with a limit of time for everything that a client does.

`ASGIWorker` and `ASGIProtocol` of gunicorn parse HTTP and follow its master's signals. This module adds what they lack:
time limits before the first request, connections spread evenly over the processes, and a limit of their number.
"""

import asyncio
import heapq
import mmap
import os
import socket
from functools import partial
from operator import attrgetter
from typing import Any

from gunicorn.asgi.parser import InvalidChunkSize
from gunicorn.asgi.protocol import ASGIProtocol
from gunicorn.workers.gasgi import ASGIWorker

from conversations.api.client_address import network_of
from whatsai.server import stop_signals
from whatsai.server.arrivals import Arrivals
from whatsai.server.open_files import permit
from whatsai.server.stage import Stage

CLOSE_SECONDS = 5.0  # how long a closed connection may take to transfer what is left
YIELD_SECONDS = 0.002  # how long a process waits for another one with fewer connections to accept
MAX_ACCEPTED = 64  # connections that are accepted at once
MAX_OPENED = 8  # connections that are set up at once, which takes a few milliseconds
EVENNESS = 8  # one in so many connections may be more than another process has
LINGER_SECONDS = 1.0  # how long a process that stops still takes requests on its open connections
# Python parses heads and chunks in the event loop, and all other clients wait meanwhile. So a client may cause a few
# milliseconds of parsing at once.
MAX_HEAD_BYTES = 32 * 1024  # of all lines of a head
HEAD_STEP = 16 * 1024  # bytes of a head that are parsed at once
MAX_TINY_CHUNKS = 250  # of one body, besides one for each `CHUNK_BYTES` that it has
CHUNK_BYTES = 64
READ_BYTES = 64 * 1024  # that a connection reads at once, and holds of a body before it stops reading
MAX_STREAMS = 10_000  # event streams of a process
RETRY_SECONDS = 0.5  # pause after a failed accept, such as when the process has too many open files

_RANK = attrgetter("rank")


class ConnectionCounts:
    """The number of open connections of each worker process, in memory that all share since the master forked."""

    SLOTS = 256
    UNUSED = 2**32 - 1

    def __init__(self) -> None:
        self._counts = memoryview(mmap.mmap(-1, self.SLOTS * 4)).cast("I")
        for slot in range(self.SLOTS):
            self._counts[slot] = self.UNUSED

    def set(self, age: int, count: int) -> None:
        """Set the count of the worker that gunicorn gave the number `age`; `UNUSED` for a process that has ended."""
        self._counts[age % self.SLOTS] = count

    def is_more_than_another(self, count: int) -> bool:
        """Return whether another worker process has clearly less than `count` connections."""
        return min(self._counts) < count - count // EVENNESS


class Connection(ASGIProtocol):  # type: ignore[misc]  # gunicorn ships no type hints
    """One connection. A client has `keepalive` seconds to send the head of a request, of the first one as well."""

    transport: Any  # an asyncio transport; None before the connection is made, and after `detach`

    def __init__(self, worker: "Worker") -> None:
        super().__init__(worker)
        self._max_buffer_size = READ_BYTES
        self._head_bytes = self._chunks = self._chunked_bytes = 0  # of the present request
        self._has_ended = False  # whether the client sends nothing more
        self.enter(Stage.UNCHECKED)

    def connection_made(self, transport: Any) -> None:
        """Start the time limit of the first request, and let the connection hold little of what it reads and writes."""
        super().connection_made(transport)
        transport.max_size = READ_BYTES  # asyncio's transports of sockets have no function for it
        transport.set_write_buffer_limits(high=0)  # a response goes on when the kernel has taken all of the last chunk
        self.worker.add(self)
        self._arm_keepalive_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Count the connection as closed."""
        super().connection_lost(exc)
        self.worker.discard(self)

    def eof_received(self) -> bool:
        """Answer a client that has closed its side of the connection after a request; say that a body is incomplete."""
        if self._body_receiver is not None and not self._body_receiver._complete:  # noqa: SLF001 - gunicorn's protocol reads it, too
            self._body_receiver.signal_disconnect()
        self._has_ended = True
        return not self.is_idle

    @property
    def is_idle(self) -> bool:
        """Whether no request is being answered."""
        return self._awaiting_request and not self._request_ready.is_set()

    def enter(self, stage: Stage) -> None:
        """Record what the connection waits for from now on."""
        self._stage = stage
        self._since = self.worker.loop.time()

    @property
    def rank(self) -> tuple[Stage, float]:
        """The stage of the connection, and since when: connections with a lower rank are closed first."""
        return Stage.IDLE if self.is_idle else self._stage, self._since

    def close(self) -> None:
        """Close the connection."""
        self._close_transport()

    def detach(self) -> Any:
        """Release everything of this connection but its transport, and return the transport for another protocol.

        gunicorn then takes the connection for lost, and does nothing more with it.
        """
        transport, self.transport = self.transport, None
        self.connection_lost(None)
        return transport

    def _build_http_scope(self, *arguments: Any) -> dict[str, Any]:
        self.enter(Stage.UNCHECKED)
        return {**super()._build_http_scope(*arguments), "enter_stage": self.enter, "detach": self.detach}

    def _arm_keepalive_timer(self) -> None:
        """Wait for the next request, or close the connection if its client sends nothing more."""
        if self._has_ended:
            self._keepalive_timeout()
        else:
            super()._arm_keepalive_timer()

    def _close_transport(self) -> None:
        super()._close_transport()
        if self.transport is not None:
            self.transport.close()  # gunicorn does not if the client has reset the connection
            self.worker.loop.call_later(CLOSE_SECONDS, self.transport.abort)

    def _feed_callback_parser(self, data: bytes) -> bool:
        """Parse what a client has sent; return False if the connection was closed because of it."""
        while data and self._is_in_head():
            part, data = data[:HEAD_STEP], data[HEAD_STEP:]
            self._head_bytes += len(part)
            if not self._parse(part):
                return False
            if self._head_bytes > MAX_HEAD_BYTES and self._is_in_head():
                self._send_error_response(431, f"the head has more than {MAX_HEAD_BYTES} bytes")
                self._close_transport()
                return False
        if data and not self._parse(data):
            return False
        if self._has_next_request():
            self._pause_reading()
        return True

    def _has_next_request(self) -> bool:
        """Whether the client has sent data behind a request that is not answered yet."""
        return bool(self._callback_parser.remaining())

    def _maybe_resume_reading(self) -> None:
        """Read on when the application has taken enough of a body, but not what comes behind its end."""
        if not self._has_next_request():
            super()._maybe_resume_reading()

    def _is_in_head(self) -> bool:
        return self._current_request is None  # gunicorn sets it when the head is complete

    def _on_headers_complete(self) -> bool:
        self._head_bytes = self._chunks = self._chunked_bytes = 0
        return bool(super()._on_headers_complete())

    def _on_body(self, chunk: bytes) -> None:
        if self._current_request.chunked:
            self._chunks += 1
            self._chunked_bytes += len(chunk)
            if self._chunks > MAX_TINY_CHUNKS + self._chunked_bytes // CHUNK_BYTES:
                raise InvalidChunkSize("the body has too many tiny chunks")
        super()._on_body(chunk)

    def _parse(self, data: bytes) -> bool:
        try:
            return bool(super()._feed_callback_parser(data))
        except ValueError:  # Python converts no text with thousands of digits, such as a Content-Length, to an integer
            self._send_error_response(400, "a number has too many digits")
            self._close_transport()
            return False

    def _send_error_response(self, status: int, message: str, extra_headers: Any = ()) -> None:
        """Answer a malformed chunk of a body with 408, so that senders retry: a connection was cut off or garbled.

        The message can quote the request, so the headers forbid a browser to take it for a page.
        """
        is_body = self._body_receiver is not None and not self._body_receiver._complete  # noqa: SLF001 - as above
        headers = [*extra_headers, *self.worker.error_headers]
        super()._send_error_response(408 if is_body and status == 400 else status, message, headers)  # noqa: PLR2004 - the statuses of HTTP


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
        from whatsai.response_headers import CONTENT_SECURITY_POLICY  # noqa: PLC0415 - it needs the settings of `wsgi`
        from whatsai.server.application import Application  # noqa: PLC0415 - it needs the settings that `wsgi` loads

        csp, nosniff = ("Content-Security-Policy", CONTENT_SECURITY_POLICY), ("X-Content-Type-Options", "nosniff")
        self.error_headers = [csp, nosniff]

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
