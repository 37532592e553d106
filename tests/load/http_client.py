"""The least of HTTP/1.1 that posting needs, on kept-alive connections: a client must not cost what it measures."""

import asyncio
import re
from collections import deque
from typing import NamedTuple

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_CLOSES = re.compile(rb"\r\nconnection: *close\r\n", re.IGNORECASE)
_HEAD_ENDS = b"\r\n\r\n"
_STATUS = slice(9, 12)  # of `HTTP/1.1 200 OK`


class Answer(NamedTuple):
    """An answer."""

    status: int
    body: bytes


class Connection(asyncio.Protocol):
    """One connection: one request at a time."""

    def __init__(self) -> None:
        self.is_open = False
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._waiting: asyncio.Future[Answer] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note that it is there."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - tells the type checker what TCP gives
        self._transport, self.is_open = transport, True

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that it has gone; a request under way has failed."""
        self.is_open = False
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(exc or ConnectionResetError("the server hung up"))

    def data_received(self, data: bytes) -> None:
        """Take a piece of an answer."""
        self._received += data
        head, found, body = self._received.partition(_HEAD_ENDS)
        if not found or self._waiting is None or self._waiting.done():
            return
        length = _LENGTH.search(head + b"\r\n")
        if length is None:
            self._waiting.set_exception(ConnectionError("an answer without its length"))
        elif len(body) >= int(length[1]):
            self._received = b""
            if _CLOSES.search(head + b"\r\n"):
                self.close()
            self._waiting.set_result(Answer(int(head[_STATUS]), body))

    def ask(self, request: bytes) -> "asyncio.Future[Answer]":
        """Send a request; the answer comes later, or a ConnectionError."""
        self._waiting = asyncio.get_running_loop().create_future()
        if self._transport is None or not self.is_open:
            self._waiting.set_exception(ConnectionResetError("the connection is closed"))
        else:
            self._transport.write(request)
        return self._waiting

    def close(self) -> None:
        """Close it."""
        self.is_open = False
        if self._transport is not None:
            self._transport.close()


class Pool:
    """Connections to one server: opened when all others are busy, used in turn, at most `limit`."""

    def __init__(self, host: str, port: int, limit: int) -> None:
        self._host = host
        self._port = port
        self._free = asyncio.Semaphore(limit)
        self._idle: deque[Connection] = deque()

    async def ask(self, request: bytes, timeout: float) -> Answer:  # noqa: ASYNC109 - Evolution's own word for it
        """Send a request and return the answer.

        Raises:
            OSError: nobody answers, not within `timeout` seconds.
        """
        async with self._free:
            try:
                async with asyncio.timeout(timeout):
                    connection = await self._connection()
                    try:
                        answer = await connection.ask(request)
                    except BaseException:
                        connection.close()
                        raise
            except TimeoutError:
                raise TimeoutError("no answer in time") from None
            if connection.is_open:
                self._idle.append(connection)
            return answer

    async def _connection(self) -> Connection:
        while self._idle:
            connection = self._idle.popleft()
            if connection.is_open:
                return connection
        _, connection = await asyncio.get_running_loop().create_connection(Connection, self._host, self._port)
        return connection

    def close(self) -> None:
        """Close all that are idle."""
        while self._idle:
            self._idle.pop().close()
