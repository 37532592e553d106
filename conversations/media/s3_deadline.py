"""Ends requests to a bucket that take too long as a whole.

The time-outs of boto3 are for each read and each write, so a server that sends a byte a second would hold a thread for
hours. Here a timer shuts the connection down, whether the server greets, takes a file or answers. Looking the name up
and connecting come before that; the system and `connect_timeout` limit them.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore.awsrequest import (
    AWSHTTPConnection,
    AWSHTTPConnectionPool,
    AWSHTTPSConnection,
    AWSHTTPSConnectionPool,
)

BASE_SECONDS = 10.0  # for a request without content
SLOWEST = 500_000  # bytes of content a second
TOO_LATE = "the media server is too slow: it did not finish in time"


def seconds_for(size: int) -> float:
    """Return how many seconds a request may take whose content has `size` bytes."""
    return BASE_SECONDS + size / SLOWEST


class Deadline:
    """Shuts down the connections of requests that take too long. An answer may be read with it after its request."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._has_passed = False

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Limit the time of the block, which makes its requests in this thread.

        Raises:
            ConnectionError: the block took longer.
        """
        timer = threading.Timer(seconds, self._pass)
        timer.daemon = True
        before, _current.deadline = _current.deadline, self
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            _current.deadline = before
            if self._has_passed:
                raise ConnectionError(TOO_LATE) from None

    def watch(self, connected: socket.socket) -> None:
        """Shut a connection down when the time is over.

        A copy of the file descriptor is kept, because http.client and TLS take the socket out of the connection.
        """
        copy = socket.fromfd(connected.fileno(), connected.family, connected.type)
        with self._lock:
            self._sockets.append(copy)
            if self._has_passed:
                _shut_down(copy)

    def close(self) -> None:
        """Forget the connections."""
        with self._lock:
            while self._sockets:
                self._sockets.pop().close()

    def _pass(self) -> None:
        with self._lock:
            self._has_passed = True
            for one in self._sockets:
                _shut_down(one)


class _Current(threading.local):
    """The deadline of this thread's requests."""

    deadline: Deadline | None = None


_current = _Current()


def _shut_down(connected: socket.socket) -> None:
    try:
        connected.shutdown(socket.SHUT_RDWR)
    except OSError:  # it was closed by the server
        return


class _Watched:
    """Gives the connections to the deadline: new ones before TLS greets, and others when they are used again."""

    def _new_conn(self) -> socket.socket:
        connected: socket.socket = super()._new_conn()  # type: ignore[misc]  # a mixin
        _watch(connected)
        return connected

    def request(self, *args: Any, **kwargs: Any) -> Any:
        _watch(self.sock)  # type: ignore[attr-defined]  # a mixin
        return super().request(*args, **kwargs)  # type: ignore[misc]  # a mixin


def _watch(connected: socket.socket | None) -> None:
    if connected is not None and _current.deadline is not None:
        _current.deadline.watch(connected)


class _Connection(_Watched, AWSHTTPConnection):  # type: ignore[misc]  # botocore has no types
    pass


class _TLSConnection(_Watched, AWSHTTPSConnection):  # type: ignore[misc]  # botocore has no types
    pass


# botocore has no option for this. Without a deadline, the connections are those of botocore.
AWSHTTPConnectionPool.ConnectionCls = _Connection
AWSHTTPSConnectionPool.ConnectionCls = _TLSConnection
