"""A minimal HTTP/1.1 client with keep-alive connections.

The client implements only what the load test needs, because it shares the machine's processors with the server.
"""

import asyncio
import re
from collections import deque
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from conversations.demo.events import Event

_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_CONNECTION_CLOSE = re.compile(rb"\r\nconnection: *close\r\n", re.IGNORECASE)
_END_OF_HEAD = b"\r\n\r\n"
_STATUS = slice(9, 12)  # the position of the status code in `HTTP/1.1 200 OK`


def webhook_request(event: Event, token: str, host: str) -> bytes:
    """Return the bytes of the HTTP request with which the Evolution API posts a webhook event."""
    delivery = event.delivery
    head = (
        f"POST {delivery.path} HTTP/1.1\r\nHost: {host}\r\nAccept: application/json, text/plain, */*\r\n"
        f"Content-Type: application/json\r\nUser-Agent: axios/1.7.9\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Length: {len(delivery.body)}\r\nConnection: keep-alive\r\n\r\n"
    )
    return head.encode() + delivery.body


def api_request(
    path: str, token: str, host: str, headers: Mapping[str, str] = MappingProxyType({}), *, method: str = "GET"
) -> bytes:
    """Return the bytes of an HTTP request to a path of the REST API, without its body."""
    lines = {"Host": host, "Authorization": f"Token {token}", **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode()


class ApiError(Exception):
    """A request to the REST API returned a status other than 200."""

    def __init__(self, path: str, status: int) -> None:
        super().__init__(f"{path} returned {status}")
        self.status = status


class Response(NamedTuple):
    """The status and the body of one HTTP response."""

    status: int
    body: bytes


class Connection(asyncio.Protocol):
    """One TCP connection to the server, which carries one HTTP request at a time."""

    def __init__(self) -> None:
        self.is_open = False
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._pending: asyncio.Future[Response] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport of the new connection for later requests."""
        assert isinstance(transport, asyncio.Transport)  # asyncio declares BaseTransport, but TCP has a Transport
        self._transport, self.is_open = transport, True

    def connection_lost(self, exc: Exception | None) -> None:
        """Set an error as the result of the pending request, if a request is pending."""
        self.is_open = False
        if self._pending is not None and not self._pending.done():
            self._pending.set_exception(exc or ConnectionResetError("the server closed the connection"))

    def data_received(self, data: bytes) -> None:
        """Buffer a part of a response; when the response is complete, set it as the result of the pending request."""
        self._received += data
        head, separator, body = self._received.partition(_END_OF_HEAD)
        if not separator or self._pending is None or self._pending.done():
            return
        length = _CONTENT_LENGTH.search(head + b"\r\n")
        if length is None:
            self._pending.set_exception(ConnectionError("a response without Content-Length"))
        elif len(body) >= int(length[1]):
            self._received = b""
            if _CONNECTION_CLOSE.search(head + b"\r\n"):
                self.close()
            self._pending.set_result(Response(int(head[_STATUS]), body))

    def send(self, request: bytes) -> "asyncio.Future[Response]":
        """Send a request; the returned future resolves to the response or raises a ConnectionError."""
        self._pending = asyncio.get_running_loop().create_future()
        if self._transport is None or not self.is_open:
            self._pending.set_exception(ConnectionResetError("the connection is closed"))
        else:
            self._transport.write(request)
        return self._pending

    def close(self) -> None:
        """Close the connection."""
        self.is_open = False
        if self._transport is not None:
            self._transport.close()


class ConnectionPool:
    """Holds at most `limit` connections to one server; a connection is opened only if no open one is idle."""

    def __init__(self, host: str, port: int, limit: int) -> None:
        self.host = host
        self.port = port
        self._slots = asyncio.Semaphore(limit)
        self._idle: deque[Connection] = deque()

    async def send(self, request: bytes, timeout: float) -> Response:  # noqa: ASYNC109 - clients take a time-out
        """Send a request over an idle or new connection, and return the response.

        Raises:
            OSError: the connection failed, or no response arrived within `timeout` seconds.
        """
        async with self._slots:
            try:
                async with asyncio.timeout(timeout):
                    connection = await self._acquire()
                    try:
                        response = await connection.send(request)
                    except BaseException:
                        connection.close()
                        raise
            except TimeoutError:
                raise TimeoutError("no response in time") from None
            if connection.is_open:
                self._idle.append(connection)
            return response

    async def _acquire(self) -> Connection:
        while self._idle:
            connection = self._idle.popleft()
            if connection.is_open:
                return connection
        _, connection = await asyncio.get_running_loop().create_connection(Connection, self.host, self.port)
        return connection

    def close(self) -> None:
        """Close all idle connections of the pool."""
        while self._idle:
            self._idle.pop().close()
