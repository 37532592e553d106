"""An HTTP client for benchmarks: some keep-alive connections that each send one request after the other.

It does as little as possible, because it shares the processors with the server.
"""

import select
import socket
import time
from typing import NamedTuple

RECEIVE_BYTES = 2**18
TIMEOUT = 60.0  # seconds


class Response(NamedTuple):
    """The status, the head and the content of one response."""

    status: int
    head: bytes
    content: bytes

    def header(self, name: str) -> str:
        """Return a header, or ""."""
        for line in self.head.split(b"\r\n"):
            key, _, value = line.partition(b":")
            if key.lower() == name.lower().encode():
                return value.strip().decode()
        return ""


class Connection:
    """One keep-alive connection."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = b""

    def send(self, request: bytes) -> None:
        """Send the bytes of a request."""
        self.socket.sendall(request)

    def receive(self) -> Response | None:
        """Receive once; return the response if it is complete."""
        data = self.socket.recv(RECEIVE_BYTES)
        if not data:
            raise ConnectionError("the server closed the connection")
        received = self._received = self._received + data
        end = received.find(b"\r\n\r\n") + 4
        if end < 4:
            return None
        head, status = received[:end], int(received[9:12])
        size = 0 if status == 304 else _content_length(head)
        if len(received) < end + size:
            return None
        self._received = b""
        return Response(status, head, received[end:])

    def ask(self, request: bytes) -> Response:
        """Send a request and return its response."""
        self.send(request)
        while (response := self.receive()) is None:
            pass
        return response


def _content_length(head: bytes) -> int:
    at = head.lower().index(b"\r\ncontent-length:") + 17
    return int(head[at : head.index(b"\r\n", at)])


def request(method: str, path: str, token: str, **headers: str) -> bytes:
    """Return the bytes of a request; an underscore in the name of a header stands for a hyphen."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Token {token}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def rate(port: int, sent: bytes, status: int, seconds: float, connections: int = 8) -> float:
    """Send a request again and again for some seconds over several connections; return the requests per second.

    Raises:
        SystemExit: a response has another status.
    """
    opened = {one.socket.fileno(): one for one in (Connection(port) for _ in range(connections))}
    poll = select.epoll() if hasattr(select, "epoll") else select.poll()
    for fileno, connection in opened.items():
        poll.register(fileno, select.POLLIN)
        connection.send(sent)
    answered, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        for fileno, _ in poll.poll(1):
            response = opened[fileno].receive()
            if response is None:
                continue
            if response.status != status:
                raise SystemExit(f"status {response.status} instead of {status}: {response.content!r}")
            answered += 1
            opened[fileno].send(sent)
    elapsed = time.perf_counter() - started
    for connection in opened.values():
        while connection.receive() is None:
            pass
        connection.socket.close()
    return answered / elapsed
