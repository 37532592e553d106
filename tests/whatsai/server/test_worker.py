"""The web server under clients that are slow, many, silent or gone, in real processes over real connections."""

import hashlib
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import pytest
from django.conf import settings

from conversations.api.problems import CODES
from tests.waiting import TIMEOUT, wait_until

pytestmark = pytest.mark.once

SLOW_CLIENTS = 200
APPLICATION = "tests.whatsai.server.wsgi_app"
LARGE = 50_000_000  # bytes; more than the buffers of a connection hold


class Server:
    """A gunicorn server with the project's worker class and the application in `wsgi_app.py`."""

    def __init__(self, folder: Path, *options: str, ulimit: str = "") -> None:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self._clients = ExitStack()
        command = [sys.executable, "-m", "gunicorn", "--worker-class", "whatsai.server.worker.Worker", "--bind"]
        command += [f"fd://{self._socket.fileno()}", "--log-level", "warning", *options]
        with (folder / "output").open("wb") as output:
            self.process = subprocess.Popen(  # noqa: S603 - the command starts the project's own server
                [*(["sh", "-c", f'ulimit {ulimit}; exec "$0" "$@"'] if ulimit else []), *command, APPLICATION],
                cwd=settings.BASE_DIR,
                env=os.environ,
                pass_fds=[self._socket.fileno()],
                stdout=output,
                stderr=output,
            )

    def connect(self, source: str = "") -> socket.socket:
        address = self._socket.getsockname()
        return self._clients.enter_context(socket.create_connection(address, TIMEOUT, (source, 0)))

    def send(self, data: bytes, source: str = "") -> socket.socket:
        """Open a connection from a local address, by default any, and send bytes."""
        connection = self.connect(source)
        connection.sendall(data)
        return connection

    def get(self, path: str) -> str:
        with closing(self.keep_alive()) as connection:
            return get(connection, path)

    def keep_alive(self) -> HTTPConnection:
        host, port = self._socket.getsockname()
        connection = HTTPConnection(host, port, timeout=TIMEOUT)
        self._clients.callback(connection.close)
        return connection

    def disconnect(self) -> None:
        """Close the connections of all clients."""
        self._clients.close()

    def stop(self) -> None:
        self.disconnect()
        self._socket.close()
        self.process.kill() if self.process.poll() is None else None
        self.process.wait(TIMEOUT)


Start = Callable[..., Server]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Return a function that starts a server with options of gunicorn; it stops after the test."""
    with ExitStack() as stack:

        def run(*options: str, ulimit: str = "") -> Server:
            server = Server(tmp_path, *options, ulimit=ulimit)
            stack.callback(server.stop)
            server.get("/")
            return server

        yield run


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[str, ...], Server]]:
    """The servers that tests share, by their options."""
    with ExitStack() as stack:

        class Servers(dict[tuple[str, ...], Server]):
            def __missing__(self, options: tuple[str, ...]) -> Server:
                self[options] = server = Server(tmp_path_factory.mktemp("server"), *options)
                stack.callback(server.stop)
                server.get("/")
                return server

        yield Servers()


@pytest.fixture
def shared(servers: dict[tuple[str, ...], Server]) -> Iterator[Start]:
    """Return a function like `start`, whose server runs on for other tests; its clients disconnect after the test."""
    yield lambda *options: servers[options]
    for server in servers.values():
        server.disconnect()


def is_closed(connection: socket.socket) -> bool:
    """Tell whether the server closes a connection, possibly before it has read what was sent."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def get(connection: HTTPConnection, path: str) -> str:
    connection.request("GET", path)
    return connection.getresponse().read().decode()


def answer(connection: socket.socket) -> tuple[int, str]:
    """Return the status and the body of the response."""
    with closing(HTTPResponse(connection)) as response:
        response.begin()
        return response.status, response.read().decode()


def post(path: str, length: int, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {length}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


SLOW = {
    "nothing sent": b"",
    "half a request line": b"POST /webhooks/evolution/sho",
    "half a head": b"GET / HTTP/1.1\r\nHost: localh",
    "half a small body": post("/digest", 100, b"x"),
    "half a large body": post("/webhooks/shop", LARGE, b"x" * 100_000, "X-Webhook-Token: right"),
    "a large body without a token": post("/webhooks/shop", LARGE, b"x" * 100_000),
    "half a chunk": b"POST /digest HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nx",
    "a large text that the client does not read": b"GET /text HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a large file that the client does not read": b"GET /file HTTP/1.1\r\nHost: localhost\r\n\r\n",
}


@pytest.mark.parametrize("kind", SLOW)
def test_slow_clients_hold_no_thread(shared: Start, kind: str) -> None:
    server = shared("--threads", "1")
    for _ in range(5 if "does not read" in kind else SLOW_CLIENTS):
        server.send(SLOW[kind])
    body = b'{"event": "messages.upsert"}'
    for _ in range(3):
        assert server.get("/health/") == "healthy"
        connection = server.send(post("/webhooks/shop", len(body), body, "X-Webhook-Token: right"))
        assert answer(connection) == (202, f"{len(body)} {hashlib.sha256(body).hexdigest()}")


def test_health_is_answered_while_all_threads_are_busy(start: Start) -> None:
    server = start("--threads", "2")
    waiting = [server.send(b"GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n") for _ in range(4)]
    assert server.get("/health/") == "healthy"
    server.get("/health/?release")
    assert [answer(connection) for connection in waiting] == [(200, "released")] * 4


def test_health_is_answered_while_all_connections_wait_for_a_thread(start: Start) -> None:
    server = start("--threads", "1", "--worker-connections", "10")
    waiting = [server.send(b"GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n") for _ in range(10)]
    for _ in range(3):
        (refused, *_), _, _ = select.select(waiting, [], [], TIMEOUT)
        waiting.remove(refused)
        assert answer(refused)[0] == 503
    for _ in range(3):
        assert server.get("/health/") == "healthy"
    webhook = server.send(b"GET /webhooks/x HTTP/1.1\r\nHost: localhost\r\n\r\n")
    server.get("/health/?release")
    assert [answer(connection) for connection in waiting] == [(200, "released")] * 7
    assert answer(webhook) == (401, "refused")


@pytest.mark.parametrize("kind", ["nothing sent", "half a request line", "half a head"])
def test_a_client_that_sends_no_complete_head_is_disconnected(shared: Start, kind: str) -> None:
    server = shared("--keep-alive", "1")
    assert server.send(SLOW[kind]).recv(1) == b""
    kept = server.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert answer(kept)[0] == 200
    kept.sendall(SLOW[kind])
    assert kept.recv(1) == b""


def test_the_oldest_idle_connection_is_closed_if_there_are_too_many(start: Start) -> None:
    server = start("--worker-connections", "5", "--keep-alive", str(round(TIMEOUT)))
    connections = [server.send(b"GET /") for _ in range(8)]
    assert [is_closed(connection) for connection in connections[:3]] == [True] * 3
    connections[-1].sendall(b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert answer(connections[-1])[0] == 200


WAITING_FOR_CLIENT = [
    "half a small body",
    "half a chunk",
    "half a large body",
    "a large text that the client does not read",
]


@pytest.mark.parametrize("kind", WAITING_FOR_CLIENT)
def test_clients_that_are_slow_keep_nobody_out(shared: Start, kind: str) -> None:
    server = shared("--worker-connections", "3", "--threads", "1")
    for _ in range(6):
        connection = server.send(SLOW[kind])
        # A connection whose request is in the thread is never closed. So wait until the thread has finished with it.
        if "does not read" in kind:
            assert connection.recv(1)
        else:
            server.get("/")
        assert server.get("/health/") == "healthy"


@pytest.mark.parametrize("ulimit", ["-Sn 100", "-n 300"])
def test_connections_leave_files_to_the_rest(start: Start, ulimit: str) -> None:
    """1,200 connections of one client stopped everything, because most systems permit 1,024 files."""
    server = start("--worker-connections", "400", "--keep-alive", "1000", ulimit=ulimit)
    for _ in range(350):
        server.send(SLOW["half a request line"])
    assert server.get("/health/") == "healthy"


def test_a_connection_with_a_running_request_stays_open(start: Start) -> None:
    server = start("--worker-connections", "4", "--threads", "2")
    running = [server.send(b"GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n") for _ in range(2)]
    for _ in range(8):
        server.send(SLOW["half a small body"])
        assert server.get("/health/") == "healthy"
    server.get("/health/?release")
    assert [answer(connection) for connection in running] == [(200, "released")] * 2


def test_the_body_of_an_authenticated_sender_is_kept_longer_than_others(start: Start) -> None:
    server = start("--worker-connections", "4", "--threads", "1")
    body = os.urandom(200_000)
    sender = server.send(post("/webhooks/shop", len(body), body[:100_000], "X-Webhook-Token: right"))
    server.get("/")  # the thread has checked the sender
    for _ in range(8):
        server.send(SLOW["half a small body"])
        assert server.get("/health/") == "healthy"
    sender.sendall(body[100_000:])
    assert answer(sender) == (202, f"{len(body)} {hashlib.sha256(body).hexdigest()}")


def test_kept_alive_connections_of_one_client_are_spread_over_the_processes(start: Start) -> None:
    server = start("--workers", "2")
    processes: list[str] = []

    def connect() -> bool:
        processes.append(get(server.keep_alive(), "/"))
        return len(set(processes)) == 2

    wait_until(connect)  # the second process may still be starting
    for _ in range(10 + len(processes)):
        connect()
    assert min(Counter(processes).values()) > len(processes) / 4


def test_an_address_with_many_connections_does_not_delay_another(start: Start) -> None:
    """Connections were set up in the order of their arrival, and the kernel had no room for those that came later."""
    server, many, request = start("--threads", "2"), 100, b"GET /turn HTTP/1.1\r\nHost: localhost\r\n\r\n"
    worker = int(server.get("/"))
    os.kill(worker, signal.SIGSTOP)
    for _ in range(many):
        server.send(request)
    other = server.send(request, "127.0.0.2")
    os.kill(worker, signal.SIGCONT)
    assert int(answer(other)[1]) < many / 2


def test_a_large_body_without_a_token_is_refused_before_it_is_sent(shared: Start) -> None:
    connection = shared().send(post("/webhooks/shop", LARGE, b"x" * 100_000))
    assert answer(connection) == (401, "refused")


def test_a_client_that_sends_all_of_a_refused_body_reads_the_response(shared: Start) -> None:
    connection = shared().send(post("/webhooks/shop", LARGE, b"x" * LARGE))
    assert answer(connection) == (401, "refused")


@pytest.mark.parametrize("size", [0, 1, 64 * 1024, 64 * 1024 + 1, LARGE])
def test_a_body_arrives_unchanged(shared: Start, size: int) -> None:
    body = os.urandom(size)
    connection = shared().send(post("/webhooks/shop", size, body, "X-Webhook-Token: right"))
    assert answer(connection) == (202, f"{size} {hashlib.sha256(body).hexdigest()}")


@pytest.mark.parametrize("path", ["/digest", "/webhooks/shop"])
def test_a_body_over_the_limit_of_its_path_is_refused(shared: Start, path: str) -> None:
    server = shared()
    limit = 100 * 1024 * 1024 if path.startswith("/webhooks") else 65_535
    status, body = answer(server.send(post(path, limit + 1, b"", "X-Webhook-Token: right")))
    assert (status, "larger than" in body) == (413, True)
    if path == "/digest":
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
        assert answer(server.send(head + 4 * chunk))[0] == 413


def test_a_client_may_wait_for_permission_to_send_its_body(shared: Start) -> None:
    connection = shared().send(post("/webhooks/shop", 2, b"", "X-Webhook-Token: right", "Expect: 100-continue"))
    assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
    connection.sendall(b"{}")
    assert answer(connection) == (202, f"2 {hashlib.sha256(b'{}').hexdigest()}")


@pytest.mark.parametrize("request_", [b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", post("/digest", 1, b"x")])
def test_a_client_that_stops_sending_gets_its_response(shared: Start, request_: bytes) -> None:
    connection = shared().connect()
    connection.sendall(request_)
    connection.shutdown(socket.SHUT_WR)
    assert answer(connection)[0] == 200


def test_a_connection_ends_with_the_response_if_its_client_sends_nothing_more(shared: Start) -> None:
    """It was kept for the next request, and made a server that stopped wait for it."""
    connection = shared("--keep-alive=600").send(2 * b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    connection.shutdown(socket.SHUT_WR)
    with connection.makefile("rb") as received:
        assert received.read().count(b"HTTP/1.1 200") == 2


@pytest.mark.parametrize(
    "request_",
    [post("/digest", 2, b"x"), b"POST /digest HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"],
)
def test_an_incomplete_body_is_refused_so_that_it_is_sent_again(shared: Start, request_: bytes) -> None:
    connection = shared().connect()
    connection.sendall(request_)
    connection.shutdown(socket.SHUT_WR)
    assert answer(connection)[0] == 408


def test_an_error_of_the_application_is_answered_in_json_without_details(shared: Start) -> None:
    with closing(shared().keep_alive()) as connection:
        connection.request("GET", "/fail")
        response = connection.getresponse()
        assert (response.status, response.headers["Content-Type"]) == (500, "application/json")
        assert response.headers["Content-Security-Policy"]
        assert json.loads(response.read()).keys() == {"error", "detail"}
        assert get(connection, "/digest").startswith("0 ")


@pytest.mark.parametrize(
    ("path", "content_type"), [("/digest", "application/json"), ("/api/v1/contacts/", "application/problem+json")]
)
def test_a_refusal_of_the_server_is_a_problem_under_api(shared: Start, path: str, content_type: str) -> None:
    with closing(shared().keep_alive()) as connection:
        connection.request("POST", path, b"{}", {"Content-Type": "multipart/form-data; boundary=BBB"})
        response = connection.getresponse()
        assert (response.status, response.headers["Content-Type"]) == (415, content_type)
        assert ("code" in json.loads(response.read())) is path.startswith("/api/")


MALFORMED = {
    "HTTP/9": b"GET / HTTP/9.0\r\nHost: localhost\r\n\r\n",
    "a transfer coding": b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: <script>\r\n\r\n",
    "a header": b"GET / HTTP/1.1\r\nHost: localhost\r\nA : b\r\n\r\n",
    "thousands of digits": post("/", int("9" * 4000)).replace(b"9" * 4000, b"9" * 5000),
}


def test_a_malformed_head_is_answered_and_is_no_page(shared: Start) -> None:
    server = shared()
    for kind, head in MALFORMED.items():
        with closing(HTTPResponse(server.send(head))) as response:
            response.begin()
            assert response.status in (400, 501, 505), kind
            assert response.headers["Content-Security-Policy"], kind
            assert response.headers["X-Content-Type-Options"] == "nosniff", kind
            assert response.headers["Cache-Control"] == "private, no-store", kind


LONG = b"a" * 9000
MALFORMED_UNDER_API = {
    "a method in lower case": (400, b"get /api/x HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "a long method": (400, b"A" * 30 + b" /api/x HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "HTTP/9": (400, b"GET /api/x HTTP/9.0\r\nHost: localhost\r\n\r\n"),
    "a space in the path": (400, b"GET /api/x y HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "a URL as target": (400, b"get http://localhost/api/x HTTP/1.1\r\n\r\n"),
    "two hosts": (400, b"GET /api/x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
    "a chunk": (408, b"POST /api/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n"),
    "a long path": (414, b"GET /api/" + LONG + b" HTTP/1.1\r\n\r\n"),
    "a long header": (431, b"GET /api/x HTTP/1.1\r\nHost: localhost\r\nA: " + LONG + b"\r\n\r\n"),
    "a transfer coding": (501, b"POST /api/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: <b>\r\n\r\n"),
}


def test_a_malformed_request_is_a_problem_under_api(shared: Start) -> None:
    server = shared()
    for kind, (status, request_) in MALFORMED_UNDER_API.items():
        with closing(HTTPResponse(server.send(request_))) as response:
            response.begin()
            assert (response.status, response.headers["Content-Type"]) == (status, "application/problem+json"), kind
            assert response.headers["Content-Security-Policy"], kind
            assert response.headers["Cache-Control"] == "private, no-store", kind
            content = json.loads(response.read())
            assert content["status"] == status, kind
            assert content["code"] in CODES, kind


QUOTED = b"zebra"
WITH_QUOTED = {
    "method": b"zebra %s HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "version": b"GET %s HTTP/zebra\r\nHost: localhost\r\n\r\n",
    "header name": b"GET %s HTTP/1.1\r\nHost: localhost\r\nzebra : a\r\n\r\n",
    "header": b"GET %s HTTP/1.1\r\nHost: localhost\r\nzebra\r\n\r\n",
    "length": b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: zebra\r\n\r\n",
    "coding": b"POST %s HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: zebra\r\n\r\n",
    "chunk": b"POST %s HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzebra\r\n",
}


@pytest.mark.parametrize("path", [b"/api/x", b"/digest"])
def test_the_answer_to_a_malformed_request_says_what_is_wrong_and_quotes_nothing(shared: Start, path: bytes) -> None:
    server, reasons = shared(), []
    for kind, request_ in WITH_QUOTED.items():
        status, text = answer(server.send(request_ % path))
        assert status in (400, 408, 501), kind
        assert QUOTED.decode() not in text, kind
        reasons.append(json.loads(text)["detail"] if path.startswith(b"/api/") else text)
    assert len(set(reasons)) == len(WITH_QUOTED) - 1, reasons  # the same for the header and the length


UPGRADES = {
    "WebSocket": "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "WebSocket of another version": "Upgrade: websocket\r\nSec-WebSocket-Version: 12",
    "HTTP/2": "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
}


@pytest.mark.parametrize("kind", UPGRADES)
def test_a_request_for_another_protocol_is_answered_as_if_it_did_not_ask(shared: Start, kind: str) -> None:
    head = f"GET /digest HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n{UPGRADES[kind]}\r\n\r\n"
    status, text = answer(shared().send(head.encode()))
    assert (status, text[:2]) == (200, "0 ")


def test_a_url_as_target_is_its_path_and_its_host(shared: Start) -> None:
    head = b"GET http://example.com:81/environ?a=b HTTP/1.1\r\nHost: other\r\n\r\n"
    status, text = answer(shared().send(head))
    assert status == 200
    assert {"PATH_INFO=/environ", "QUERY_STRING=a=b", "HTTP_HOST=example.com:81"} <= set(text.splitlines())


def test_a_head_is_limited_as_a_whole(shared: Start) -> None:
    """Python checks each byte of a head in the event loop, and 100 fields of 8 kB take 40 ms."""
    field = b"Cookie: " + b"a" * 8000 + b"\r\n"
    head = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
    server = shared()
    assert answer(server.send(head + 3 * field + b"\r\n"))[0] == 200
    assert answer(server.send(head + 5 * field))[0] == 431
    with server.send(2 * (head + 3 * field + b"\r\n") + head + b"Connection: close\r\n\r\n").makefile(
        "rb"
    ) as responses:
        assert responses.read().count(b"HTTP/1.1 200 OK") == 3


def chunked(path: str, *chunks: bytes) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    return head + b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)


@pytest.mark.parametrize("path", ["/digest", "/webhooks/shop"])
def test_a_body_in_tiny_chunks_is_refused(shared: Start, path: str) -> None:
    """Each chunk costs the event loop the same time, however short it is."""
    assert answer(shared().send(chunked(path, *[b"x"] * 300, b"")))[0] == 408


def test_a_body_in_short_chunks_is_accepted(shared: Start) -> None:
    assert answer(shared().send(chunked("/digest", *[b"x"] * 200, *[b"y" * 100] * 300, b"")))[0] == 200


@pytest.mark.parametrize(("path", "status"), [("/digest", 415), ("/webhooks/shop", 202)])
def test_a_multipart_body_is_refused_where_forms_are_read(shared: Start, path: str, status: int) -> None:
    headers = "X-Webhook-Token: right", "Content-Type: Multipart/Form-Data; boundary=BBB"
    assert answer(shared().send(post(path, 2, b"{}", *headers)))[0] == status


def test_pipelined_requests_are_answered_in_order(shared: Start) -> None:
    requests = post("/digest", 1, b"a") + post("/digest", 2, b"bb") + post("/digest", 3, b"ccc", "Connection: close")
    with shared().send(requests).makefile("rb") as responses:
        text = responses.read().decode()
    assert re.findall(r"^(\d) [0-9a-f]{64}", text, re.MULTILINE) == ["1", "2", "3"]


def test_a_header_with_underscores_cannot_pose_as_another(shared: Start) -> None:
    head = b"GET /environ HTTP/1.1\r\nHost: localhost\r\nX_Forwarded_Proto: https\r\nX-Two: a\r\nX-Two: b\r\n\r\n"
    status, text = answer(shared().send(head))
    lines = text.splitlines()
    assert status == 200
    assert not [line for line in lines if line.startswith("HTTP_X_FORWARDED")]
    assert "HTTP_X_TWO=a,b" in lines
    assert "PATH_INFO=/environ" in lines
    assert "REMOTE_ADDR=127.0.0.1" in lines


def test_a_running_request_is_finished_at_sigterm(start: Start) -> None:
    server = start("--threads", "3")  # one of them waits for webhooks
    idle = server.send(b"GET ")
    running = server.send(b"GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n")
    release = server.send(post("/health/?release", 2, b"x"))
    server.get("/")  # all connections before this one are accepted
    server.process.send_signal(signal.SIGTERM)
    assert idle.recv(1) == b""
    release.sendall(b"x")
    assert answer(release) == (200, "healthy")
    assert answer(running) == (200, "released")
    assert server.process.wait(TIMEOUT) == 0
