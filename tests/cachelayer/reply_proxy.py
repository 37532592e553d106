"""A proxy in front of a Redis server that tampers with single replies of the server.

The proxy passes commands on unchanged. It splits what the server sends into replies, and asks a function for what to
send in place of each reply. Connections that subscribe to a channel are passed on unchanged.
"""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.scratch import SHORT_PARENT, scratch_folder

# Returns the replies to send in place of a reply.
Tamper = Callable[[bytes], list[bytes]]
RECEIVE_SIZE = 65_536


class ReplyProxy:
    """Listens on a unix socket and connects each client to the server.

    Attributes:
        url: the URL of the proxy.
        tamper: returns the replies to send in place of a reply; None passes all replies on.
    """

    def __init__(self, folder: Path, server_url: str) -> None:
        self.tamper: Tamper | None = None
        self._server_path = server_url.removeprefix("unix://").partition("?")[0]
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / "proxy.sock"))
        self._listener.listen()
        self._sockets: list[socket.socket] = [self._listener]
        self.url = f"unix://{folder}/proxy.sock?db=0"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Close the proxy and all its connections."""
        for one in list(self._sockets):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._server_path)
                self._sockets += (client, server)
                subscribed = threading.Event()
                for pump in (self._pass_commands, self._pass_replies):
                    threading.Thread(target=pump, args=(client, server, subscribed), daemon=True).start()

    def _pass_commands(self, client: socket.socket, server: socket.socket, subscribed: threading.Event) -> None:
        with suppress(OSError):
            while data := client.recv(RECEIVE_SIZE):
                if b"SUBSCRIBE" in data:
                    subscribed.set()
                server.sendall(data)
        _shut_down(server)

    def _pass_replies(self, client: socket.socket, server: socket.socket, subscribed: threading.Event) -> None:
        buffer = b""
        with suppress(OSError):
            while data := server.recv(RECEIVE_SIZE):
                replies, buffer = split_replies(buffer + data)
                for reply in replies:
                    tamper = None if subscribed.is_set() else self.tamper
                    client.sendall(b"".join(tamper(reply)) if tamper else reply)
        _shut_down(client)


def _shut_down(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)


def split_replies(data: bytes) -> tuple[list[bytes], bytes]:
    """Split bytes into complete RESP replies; return the replies and the remaining bytes."""
    replies, start = [], 0
    with suppress(ValueError):  # the last reply is incomplete
        while start < len(data):
            end = _end_of_reply(data, start)
            replies.append(data[start:end])
            start = end
    return replies, data[start:]


def _end_of_reply(data: bytes, start: int) -> int:
    """Return the index after the reply that starts at an index.

    Raises:
        ValueError: the reply is incomplete.
    """
    end = data.index(b"\r\n", start) + 2
    kind, line = data[start : start + 1], data[start + 1 : end - 2]
    if kind == b"*":
        for _ in range(int(line)):
            end = _end_of_reply(data, end)
    elif kind == b"$" and line != b"-1":
        end += int(line) + 2
    if end > len(data) or end == start:
        raise ValueError("incomplete")
    return end


@contextmanager
def running(server_url: str) -> Iterator[ReplyProxy]:
    """Run a proxy in front of the server at a unix socket URL until the `with` block ends."""
    with scratch_folder("proxy", SHORT_PARENT) as folder:
        proxy = ReplyProxy(Path(folder), server_url)
        try:
            yield proxy
        finally:
            proxy.close()
