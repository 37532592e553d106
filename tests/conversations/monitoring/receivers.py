"""A mail server and a server for webhooks, on real sockets, which keep what they receive."""

import email
import http.server
import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from typing import Any


class MailHandler(socketserver.StreamRequestHandler):
    """Speaks as much SMTP (RFC 5321) as a sender needs."""

    def handle(self) -> None:
        self._reply("220 ready")
        for line in self.rfile:
            command = line.strip().upper()
            if command == b"DATA":
                self._reply("354 go on")
                data = b"".join(iter(self.rfile.readline, b".\r\n"))
                self.server.received.append(email.message_from_bytes(data))  # type: ignore[attr-defined]
            self._reply("221 bye" if command == b"QUIT" else "250 ok")

    def _reply(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


class RefusingMailHandler(socketserver.StreamRequestHandler):
    """Speaks as much SMTP (RFC 4954) as a client needs to learn that its password is wrong."""

    def handle(self) -> None:
        self.wfile.write(b"220 ready\r\n")
        for line in self.rfile:
            command = line.split()[0].upper()
            replies = {b"EHLO": b"250-here\r\n250 AUTH PLAIN", b"AUTH": b"535 wrong password", b"QUIT": b"221 bye"}
            self.wfile.write(replies.get(command, b"250 ok") + b"\r\n")


class WebhookHandler(http.server.BaseHTTPRequestHandler):
    """Answers each POST with the server's status."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append(json.loads(body))  # type: ignore[attr-defined]
        self.send_response(self.server.status)  # type: ignore[attr-defined]
        self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, *_arguments: Any) -> None:
        return


class Receiver(socketserver.ThreadingTCPServer):
    """A server on a free port of this machine."""

    daemon_threads = True
    status = 200

    def __init__(self, handler: type[socketserver.BaseRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.received: list[Any] = []

    @property
    def port(self) -> int:
        return int(self.server_address[1])


@contextmanager
def running(handler: type[socketserver.BaseRequestHandler]) -> Iterator[Receiver]:
    """Run a server until the `with` block ends."""
    with Receiver(handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def text_of(message: Message) -> str:
    """Return the text of an e-mail."""
    content = message.get_payload(decode=True)
    assert isinstance(content, bytes)
    return content.decode()
