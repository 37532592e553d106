"""One open event stream: what remains of a connection when its request has been answered with a stream.

gunicorn's objects of the connection are released, because thousands of streams stay open for hours.
"""

import asyncio
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

MAX_PENDING_BYTES = 2 * 1024 * 1024  # that one client has not read yet: at least one batch of changes

_LEFT_OUT = {b"content-length", b"connection", b"date"}


class EventStream(asyncio.Protocol):
    """Writes to one client. What the client sends is ignored.

    Args:
        transport: the connection.
        on_lost: called once when the connection has ended.
    """

    __slots__ = ("_on_lost", "_transport", "paused_at")

    def __init__(self, transport: Any, on_lost: Callable[[], object]) -> None:
        self._transport = transport
        self._on_lost = on_lost
        self.paused_at: float | None = None  # since when the client has not read all; a time of the event loop
        transport.set_protocol(self)

    def write(self, data: bytes) -> None:
        """Send data, or keep it until the client reads; cut the client off if that is too much."""
        self._transport.write(data)
        if self._transport.get_write_buffer_size() > MAX_PENDING_BYTES:
            self.cut_off()

    def close(self) -> None:
        """End the stream when the client has read what was written."""
        self._transport.close()

    def cut_off(self) -> None:
        """End the stream now. The client can continue after the last event that it has read."""
        self._transport.abort()

    @property
    def pending_bytes(self) -> int:
        """How many bytes the client has not read yet, besides those in buffers of the system."""
        return int(self._transport.get_write_buffer_size())

    def pause_writing(self) -> None:
        """Note that the client reads more slowly than events are written."""
        self.paused_at = asyncio.get_running_loop().time()

    def resume_writing(self) -> None:
        """Note that the client has read all that was written."""
        self.paused_at = None

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio defines the signature
        """Report the end of the connection."""
        self._on_lost()


def stream_head(headers: list[tuple[bytes, bytes]], content: bytes) -> bytes:
    """Return the beginning of a stream: the response's head with these headers, and its first content.

    The head names no length, so the response ends with the connection (RFC 9112, section 6.3).
    """
    kept = [(name, value) for name, value in headers if name.lower() not in _LEFT_OUT]
    added = [(b"Date", formatdate(usegmt=True).encode()), (b"Connection", b"close")]
    lines = [b"HTTP/1.1 200 OK", *(b"%s: %s" % header for header in (*kept, *added)), b"", content]
    return b"\r\n".join(lines)
