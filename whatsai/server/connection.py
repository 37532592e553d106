"""One connection of gunicorn's worker: what its client may send, how much of it at once, and within which time.

gunicorn's `ASGIProtocol` parses HTTP. `Connection` adds a time limit before the first request, limits of the work that
parsing causes, and what the worker needs to know in order to choose the connection that it closes.
"""

import sys
from http import HTTPStatus
from typing import Any

from gunicorn.asgi.parser import LimitRequestHeaders, ParseError
from gunicorn.asgi.protocol import ASGIProtocol

from whatsai.server.request_target import read_target
from whatsai.server.stage import Stage

CLOSE_SECONDS = 5.0  # how long a closed connection may take to transfer what is left
# Python parses heads and chunks in the event loop, and all other clients wait meanwhile. So a client may cause a few
# milliseconds of parsing at once.
MAX_HEAD_BYTES = 32 * 1024  # of all lines of a head
HEAD_STEP = 16 * 1024  # bytes of a head that are parsed at once
MAX_TINY_CHUNKS = 250  # of one body, besides one for each `CHUNK_BYTES` that it has
CHUNK_BYTES = 64
READ_BYTES = 64 * 1024  # that a connection reads at once, and holds of a body before it stops reading


class TinyChunksError(ParseError):  # type: ignore[misc]  # gunicorn ships no type hints
    """Raised for a body in too many tiny chunks."""


class Connection(ASGIProtocol):  # type: ignore[misc]  # gunicorn ships no type hints
    """One connection. A client has `keepalive` seconds to send the head of a request, of the first one as well."""

    transport: Any  # an asyncio transport; None before the connection is made, and after `detach`

    def __init__(self, worker: Any) -> None:
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
        scope = {**super()._build_http_scope(*arguments), "enter_stage": self.enter, "detach": self.detach}
        target = read_target(scope["raw_path"])
        if target.host is not None:
            others = [header for header in scope["headers"] if header[0] != b"host"]
            scope |= {"raw_path": target.raw_path, "path": target.path, "headers": [(b"host", target.host), *others]}
        return scope

    def _is_websocket_upgrade(self, _request: Any) -> bool:
        """Ignore the header `Upgrade`: no path serves WebSockets (RFC 9110, section 7.8)."""
        return False

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
                self._refuse(431, LimitRequestHeaders())
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
                raise TinyChunksError
        super()._on_body(chunk)

    def _parse(self, data: bytes) -> bool:
        try:
            return bool(super()._feed_callback_parser(data))
        except ValueError as error:  # Python converts no text with thousands of digits, such as a Content-Length
            self._refuse(400, error)
            self._close_transport()
            return False

    def _send_error_response(self, status: int, _message: str, _extra_headers: Any = ()) -> None:
        """Answer with a fixed text, because gunicorn's message can quote the request; gunicorn calls it in `except`."""
        self._refuse(status, sys.exception())

    def _refuse(self, status: int, error: BaseException | None) -> None:
        """Answer a malformed chunk of a body with 408, so that senders retry: a connection was cut off or garbled."""
        is_body = self._body_receiver is not None and not self._body_receiver._complete  # noqa: SLF001 - as above
        status = 408 if is_body and status == 400 else status  # noqa: PLR2004 - the statuses of HTTP
        self._safe_write(self.worker.malformed(self._requested_path(status), status, error))

    def _requested_path(self, status: int) -> str:
        """Return the path of a malformed request; "" if it is malformed before its path ends."""
        parser = self._callback_parser
        if parser is None:
            return ""
        line = parser._buffer if status == HTTPStatus.REQUEST_URI_TOO_LONG else b""  # noqa: SLF001 - the parser keeps a line that is too long there only
        return read_target(parser.path or bytes(line).partition(b" ")[2]).path
